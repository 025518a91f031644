package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Network says how a server is on a network.
type Network struct {
	Listener    net.Listener
	TLS         *tls.Config   // nil for plain HTTP
	Connections int           // at the same time; default 1024. Beyond it the longest idle one is closed
	Grace       time.Duration // that answers which have begun have when the server goes down; default 30 seconds
}

// Run serves until the context is done, and then lets the answers that have begun end. It returns nil when all did.
func (s *Server) Run(ctx context.Context, n Network) error {
	if n.Connections <= 0 {
		n.Connections = 1024
	}
	if n.Grace <= 0 {
		n.Grace = 30 * time.Second
	}
	conns := &connections{most: n.Connections, since: map[net.Conn]time.Time{}}
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      s.options.Timeout + s.options.Stall,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnState:         conns.state,
		ErrorLog:          slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
	}
	l := n.Listener
	if n.TLS != nil {
		l = tls.NewListener(l, n.TLS)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(l) }()
	select {
	case err := <-ended:
		return errors.Join(err, s.Close(context.Background()))
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), n.Grace)
	defer cancel()
	s.closing.Store(true) // what comes on connections that are open is answered 503
	err := h.Shutdown(grace)
	if err != nil {
		h.Close()
	}
	return errors.Join(err, s.Close(grace))
}

// connections bounds how many there are, so that idle ones take no place from others.
type connections struct {
	mu    sync.Mutex
	most  int
	count int
	since map[net.Conn]time.Time // of those that wait for a request
}

func (c *connections) state(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.count++
		if c.count > c.most {
			c.drop(conn)
		}
		c.since[conn] = time.Now()
	case http.StateIdle:
		c.since[conn] = time.Now()
	case http.StateActive:
		delete(c.since, conn)
	case http.StateClosed, http.StateHijacked:
		delete(c.since, conn)
		c.count--
	}
}

// drop closes the connection that has waited the longest, or the new one where none waits.
func (c *connections) drop(conn net.Conn) {
	oldest := conn
	for x, t := range c.since {
		if oldest == conn || t.Before(c.since[oldest]) {
			oldest = x
		}
	}
	delete(c.since, oldest)
	go oldest.Close()
}
