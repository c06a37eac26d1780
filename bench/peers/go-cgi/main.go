// A web server of Go's net/http/cgi: every file of a directory is a CGI program below /cgi-bin/, and each
// request is logged in combined format. Usage: go-cgi ADDRESS DIRECTORY LOGFILE.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const prefix = "/cgi-bin/"

// counter remembers status and size for the access line.
type counter struct {
	http.ResponseWriter
	status int
	bytes  int
}

func (c *counter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += n
	return n, err
}

func (c *counter) Flush() {
	if f, ok := c.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

func main() {
	address, directory, logName := os.Args[1], os.Args[2], os.Args[3]
	file, err := os.OpenFile(logName, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		log.Fatal(err)
	}
	programs := map[string]*cgi.Handler{}
	for _, entry := range entries {
		programs[entry.Name()] = &cgi.Handler{
			Path: filepath.Join(directory, entry.Name()),
			Root: prefix + entry.Name(),
		}
	}
	http.HandleFunc(prefix, func(w http.ResponseWriter, r *http.Request) {
		c := &counter{ResponseWriter: w, status: http.StatusOK}
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, prefix), "/")
		if program := programs[name]; program != nil {
			program.ServeHTTP(c, r)
		} else {
			http.NotFound(c, r)
		}
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(file, "%s - - [%s] \"%s %s %s\" %d %d %q %q\n", host,
			time.Now().Format("02/Jan/2006:15:04:05 -0700"), r.Method, r.RequestURI, r.Proto,
			c.status, c.bytes, r.Referer(), r.UserAgent())
	})
	log.Fatal(http.ListenAndServe(address, nil))
}
