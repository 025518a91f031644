package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// stream gives the lines of a file, or of the standard input, as they come: as many at once as are there, for commands
// that do the same with each.
type stream struct {
	name string
	file bool // not the standard input
	come chan arrival
	stop context.CancelFunc
}

// arrival is lines that have come, or why no more do.
type arrival struct {
	lines []string
	err   error
}

// newStream opens the file at path, or the standard input where there is none. most is how many lines to give at once.
func newStream(ctx context.Context, cmd *cobra.Command, path string, most int) (*stream, error) {
	s := &stream{name: path, file: path != "", come: make(chan arrival)}
	var in *data.Reader
	if s.file {
		var err error
		if in, err = data.Open(path); err != nil {
			return nil, err
		}
	} else {
		s.name = "standard input"
	}
	ctx, s.stop = context.WithCancel(ctx)
	stdin := cmd.InOrStdin()
	// A read of a pipe cannot be broken off, so it must not be what the command waits for.
	go func() {
		if in == nil {
			// What is at the beginning of a pipe has to come before one can tell what it is.
			var err error
			if in, err = data.New(s.name, stdin); err != nil {
				s.send(ctx, arrival{err: err})
				return
			}
		}
		defer in.Close()
		s.read(ctx, in, most)
	}()
	return s, nil
}

func (s *stream) send(ctx context.Context, a arrival) bool {
	select {
	case s.come <- a:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *stream) read(ctx context.Context, from *data.Reader, most int) {
	t, err := from.Text()
	if err != nil {
		s.send(ctx, arrival{err: err})
		return
	}
	in := bufio.NewReaderSize(t, 1<<16)
	for {
		var a arrival
		for a.err == nil && (len(a.lines) == 0 || len(a.lines) < most && lineBuffered(in)) {
			var line string
			line, a.err = in.ReadString('\n')
			if line != "" && (a.err == nil || errors.Is(a.err, io.EOF)) {
				a.lines = append(a.lines, text.TrimBreak(line))
			}
		}
		if !s.send(ctx, a) || a.err != nil {
			return
		}
	}
}

// lineBuffered reports whether a whole line can be read without waiting for it.
func lineBuffered(in *bufio.Reader) bool {
	b, _ := in.Peek(in.Buffered())
	return bytes.IndexByte(b, '\n') >= 0
}

// each calls do with the lines, as they come; first is the number of lines before them.
func (s *stream) each(ctx context.Context, do func(first int, lines []string) error) error {
	defer s.stop()
	for first := 0; ; {
		var a arrival
		select {
		case a = <-s.come:
		case <-ctx.Done():
			return ctx.Err()
		}
		if len(a.lines) > 0 {
			if err := do(first, a.lines); err != nil {
				return err
			}
			first += len(a.lines)
		}
		switch {
		case errors.Is(a.err, io.EOF) && first == 0 && s.file:
			return fmt.Errorf("%s: there are no lines", s.name)
		case errors.Is(a.err, io.EOF):
			return nil
		case a.err != nil:
			return fmt.Errorf("%s: %w", s.name, a.err)
		}
	}
}

// reply is what a command makes of a line, or why it cannot.
type reply struct {
	text string
	err  error
}

// lineFlags are those of commands that answer lines with lines.
type lineFlags struct {
	asJSON bool
	of     func(line string, r reply) any // what is printed as JSON in place of the usual, if not nil
}

func (f *lineFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.asJSON, "json", false,
		`print lines of JSON, such as {"line":1,"text":"…"} or {"line":2,"error":"…"}`)
}

// linesHelp goes on with the help of a command that answers lines with lines.
const linesHelp = `
Line n of the output is the answer to line n of the input, as soon as that has been read. A line
break in an answer is written as the two characters \n, so that there is one line for each. A line
that the model cannot take, such as one that is too long, is answered by an empty line and an error
that names it; the others are answered all the same, and the exit status is 1 at the end.`

// jsonReply is a reply as a line of JSON.
type jsonReply struct {
	Line  int     `json:"line"` // from 1
	Text  *string `json:"text,omitempty"`
	Error string  `json:"error,omitempty"`
}

// jsonLine is v as a line of JSON, without what ends it.
func jsonLine(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// oneLine is s without breaks of lines.
var oneLine = strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace

// line is what a model has written where a line of output stands for it.
func (a *program) line(tokens []int32) string { return oneLine(a.Tokenizer.Decode(tokens)) }

// answerLines answers the lines of a file, or of the standard input, in their order. answer gives a reply to each of
// some lines, of which the first is the one with that number, from 0; most is how many it takes at once. The error
// that it returns ends the command.
func (a *program) answerLines(cmd *cobra.Command, path string, f lineFlags, most int,
	answer func(first int, lines []string) ([]reply, error)) error {
	ctx := cmd.Context()
	s, err := newStream(ctx, cmd, path, most)
	if err != nil {
		return err
	}
	if in, ok := cmd.InOrStdin().(*os.File); ok && path == "" && cli.TerminalWidth(in) > 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "Type a line to have it answered; Ctrl-D ends.")
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	flush := func() error {
		if err := out.Flush(); err != nil {
			return fmt.Errorf("can't print: %w", err)
		}
		return nil
	}
	all, failed := 0, 0
	err = s.each(ctx, func(first int, lines []string) error {
		replies, err := answer(first, lines)
		if err != nil {
			return err
		}
		for i, r := range replies {
			all++
			line := oneLine(r.text)
			if f.of != nil || f.asJSON {
				var v any
				if f.of != nil {
					v = f.of(lines[i], r)
				} else if v = (jsonReply{Line: first + i + 1, Text: &r.text}); r.err != nil {
					v = jsonReply{Line: first + i + 1, Error: r.err.Error()}
				}
				if line, err = jsonLine(v); err != nil {
					return err
				}
			}
			fmt.Fprintln(out, line)
			if r.err == nil {
				continue
			}
			failed++
			if err := flush(); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s:%d: %s\n", a.Info.Name, s.name, first+i+1, oneLine(r.err.Error()))
		}
		return flush()
	})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%s of %s lines have no answer", thousands(failed), thousands(all))
	}
	return err
}

// taken is the lines that the model takes, as tokens, with their places among all lines; the others have their replies.
func taken(lines []string, encode func(string) ([]int32, error)) (tokens [][]int32, at []int, replies []reply) {
	replies = make([]reply, len(lines))
	for i, line := range lines {
		x, err := encode(line)
		if replies[i].err = err; err == nil {
			tokens, at = append(tokens, x), append(at, i)
		}
	}
	return tokens, at, replies
}
