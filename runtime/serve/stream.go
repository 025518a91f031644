package serve

import (
	"encoding/json"
	"net/http"
	"time"
)

// events is an answer as server-sent events.
type events struct {
	w     http.ResponseWriter
	c     *http.ResponseController
	stall time.Duration
	begun bool
	err   error
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request) *events {
	return &events{w: w, c: http.NewResponseController(w), stall: s.options.Stall}
}

// send sends an event. A client that takes too long, or has gone, is an error.
func (e *events) send(x any) error {
	if e.err != nil {
		return e.err
	}
	b, err := json.Marshal(x)
	if err != nil {
		return e.fail(err)
	}
	return e.write("data: " + string(b) + "\n\n")
}

func (e *events) write(s string) error {
	if !e.begun {
		e.begun = true
		h := e.w.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no")
		e.w.WriteHeader(http.StatusOK)
	}
	e.c.SetWriteDeadline(time.Now().Add(e.stall)) // not all writers have one
	if _, err := e.w.Write([]byte(s)); err != nil {
		return e.fail(err)
	}
	if err := e.c.Flush(); err != nil {
		return e.fail(err)
	}
	return nil
}

func (e *events) fail(err error) error {
	e.err = err
	return err
}

// end ends the stream, with an error if there was one. One from before the first event is given back.
func (e *events) end(err error) error {
	switch {
	case e.err != nil:
		return nil // there is nobody to tell
	case err != nil && !e.begun:
		return err
	case err != nil:
		e.send(map[string]any{"error": explain(err)})
	}
	e.write("data: [DONE]\n\n")
	return nil
}
