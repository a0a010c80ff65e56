// Command app is the one static program in the images of the test cluster: the pause process of every pod, an HTTP server
// that says what it saw, and clients for what a pod may want to try.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const usage = `usage:
  app pause                  wait for a signal, reaping what other containers of the pod leave
  app http ADDRESS           HTTP server: answers "host=… remote=… path=…", logs each request
  app tcp ADDRESS            TCP server: answers each connection with "host=… remote=… local=…", then echoes
  app get URL [HEADER:VALUE] print status and body; exit 1 without an answer
  app api HOST PATH          GET of the API server with the pod's token; print status and body on one line
  app resolve NAME           print the addresses of a name
  app admit ADDRESS CERT KEY admission webhook that refuses every object, giving its name
  app relay ADDRESS NETNS TARGET
                             accept here, dial TARGET inside that network namespace; prints the address`

// Longer than a SYN's first two retransmissions (1 s and 3 s), short enough for a test to see the failure.
const patience = 5 * time.Second

func main() {
	if len(os.Args) < 2 {
		fail(usage)
	}
	args := os.Args[2:]
	need := func(n int) {
		if len(args) < n {
			fail(usage)
		}
	}
	switch os.Args[1] {
	case "pause":
		pause()
	case "http":
		need(1)
		serveHTTP(args[0])
	case "tcp":
		need(1)
		serveTCP(args[0])
	case "get":
		need(1)
		get(args[0], args[1:])
	case "api":
		need(2)
		api(args[0], args[1])
	case "resolve":
		need(1)
		addresses, err := net.LookupHost(args[0])
		if err != nil {
			fail(err)
		}
		fmt.Println(strings.Join(addresses, " "))
	case "admit":
		need(3)
		admit(args[0], args[1], args[2])
	case "relay":
		need(3)
		relay(args[0], args[1], args[2])
	default:
		fail(usage)
	}
}

func fail(why any) {
	fmt.Println(why)
	os.Exit(1)
}

func pause() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}

func serveHTTP(address string) {
	host, _ := os.Hostname()
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Printf("%s %s from %s\n", r.Method, r.URL, r.RemoteAddr)
		fmt.Fprintf(w, "host=%s remote=%s path=%s\n", host, r.RemoteAddr, r.URL.Path)
	})
	fmt.Println("listening on", address)
	fail(http.ListenAndServe(address, nil))
}

func serveTCP(address string) {
	host, _ := os.Hostname()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fail(err)
	}
	fmt.Println("listening on", address)
	for {
		connection, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		go func() {
			defer connection.Close()
			fmt.Println("connection from", connection.RemoteAddr())
			fmt.Fprintf(connection, "host=%s remote=%s local=%s\n", host, connection.RemoteAddr(), connection.LocalAddr())
			io.Copy(connection, connection)
		}()
	}
}

func get(url string, headers []string) {
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		fail(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ":")
		request.Header.Set(name, strings.TrimSpace(value))
		if strings.EqualFold(name, "host") {
			request.Host = strings.TrimSpace(value)
		}
	}
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if err != nil {
		fail(err)
	}
	body, err := io.ReadAll(response.Body)
	fmt.Printf("%d %s", response.StatusCode, body)
	if err != nil {
		fail(err)
	}
}

func api(host, path string) {
	const account = "/var/run/secrets/kubernetes.io/serviceaccount/"
	token, err := os.ReadFile(account + "token")
	if err != nil {
		fail(err)
	}
	authority, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		fail(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client := http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	request, err := http.NewRequest("GET", "https://"+host+path, nil)
	if err != nil {
		fail(err)
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := client.Do(request)
	if err != nil {
		fail(err)
	}
	body, _ := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, strings.Join(strings.Fields(string(body)), " "))
}
