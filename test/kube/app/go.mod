module tulle.dev/test/kube/app

go 1.25
