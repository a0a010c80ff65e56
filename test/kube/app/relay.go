package main

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"syscall"
)

// setns(2) by architecture: package syscall was frozen before it.
var setns = map[string]uintptr{"amd64": 308, "arm64": 268}

// relay accepts where it was started and dials target inside the network namespace of that file. Bytes only; half-closes are
// kept. Prints the address it got, so that port 0 may be asked for.
func relay(address, namespace, target string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fail(err)
	}
	fmt.Println(listener.Addr())
	for {
		client, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		go func() {
			defer client.Close()
			server, err := dialIn(namespace, target)
			if err != nil {
				fmt.Println(err)
				return
			}
			defer server.Close()
			done := make(chan struct{})
			go func() {
				pass(server, client)
				close(done)
			}()
			pass(client, server)
			<-done
		}()
	}
}

func pass(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	to.(*net.TCPConn).CloseWrite()
}

func dialIn(namespace, target string) (connection net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the thread ends with this goroutine and so never serves another one in the wrong namespace.
		runtime.LockOSThread()
		var file int
		if file, err = syscall.Open(namespace, syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err != nil {
			err = fmt.Errorf("%s: %w", namespace, err)
			return
		}
		defer syscall.Close(file)
		if _, _, number := syscall.RawSyscall(setns[runtime.GOARCH], uintptr(file), syscall.CLONE_NEWNET, 0); number != 0 {
			err = fmt.Errorf("setns %s: %w", namespace, number)
			return
		}
		connection, err = net.DialTimeout("tcp", target, patience)
	}()
	<-done
	return
}
