package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/batch"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// Problem is an error in the form of the API: an object "error" with these members.
type Problem struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`

	status int
	retry  int // seconds after which to try again; 0 where that is not known
}

// Error is the message.
func (p *Problem) Error() string { return p.Message }

func problem(status int, message string) *Problem {
	p := &Problem{Message: message, status: status, Type: "invalid_request_error"}
	switch {
	case status == http.StatusTooManyRequests:
		p.Type = "rate_limit_exceeded"
	case status == http.StatusServiceUnavailable:
		p.Type = "unavailable_error"
	case status >= 500:
		p.Type = "server_error"
	}
	return p
}

// wrong is what is wrong with a member of a request.
func wrong(param, format string, args ...any) *Problem {
	return problem(http.StatusBadRequest, fmt.Sprintf(format, args...)).of(param)
}

// inMember is wrong for an error which does not say itself what kind it is.
func inMember(param string, err error) error {
	if explain(err).status != http.StatusBadRequest {
		return err
	}
	if _, is := errors.AsType[*Problem](err); is {
		return err
	}
	return wrong(param, "%v", err)
}

func (p *Problem) of(param string) *Problem   { p.Param = &param; return p }
func (p *Problem) named(code string) *Problem { p.Code = &code; return p }
func (p *Problem) after(seconds int) *Problem { p.retry = seconds; return p }

// explain makes a problem of any error.
func explain(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, batch.ErrBusy):
		return problem(http.StatusTooManyRequests, "too many texts are waiting; try again later").after(1)
	case errors.Is(err, batch.ErrClosed):
		return problem(http.StatusServiceUnavailable, "the server is going down")
	case errors.Is(err, sample.ErrNotFinite), errors.Is(err, model.ErrInUse):
		return problem(http.StatusInternalServerError, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return problem(http.StatusGatewayTimeout, "the answer took too long; ask for fewer tokens")
	case errors.Is(err, context.Canceled):
		return problem(499, "the client is gone")
	}
	return problem(http.StatusBadRequest, err.Error())
}

// fail answers with an error.
func fail(w http.ResponseWriter, err error) {
	p := explain(err)
	if p.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retry))
	}
	answer(w, p.status, map[string]any{"error": p})
}

// answer answers with an object.
func answer(w http.ResponseWriter, status int, x any) {
	b, err := json.Marshal(x)
	if err != nil { // a number that is not finite
		status = http.StatusInternalServerError
		b, _ = json.Marshal(map[string]any{"error": problem(status, "the answer has no form in JSON: "+err.Error())})
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}

// decode reads the object of a request's body. Members that nobody knows or that come twice are errors, as is anything
// behind the object.
func decode(r *http.Request, into any) error {
	if r.Body == nil {
		return problem(http.StatusBadRequest, "the request has no body")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return problem(http.StatusBadRequest, "the request broke off: "+err.Error())
	}
	return parse(body, into)
}

// parse is decode from memory.
func parse(body []byte, into any) error {
	if err := unique(json.NewDecoder(strings.NewReader(string(body)))); err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			name := strings.TrimPrefix(kind.Field, "drawing.") // which is embedded
			return wrong(name, "%s must be %s, not %s", name, aKind(kind.Type), kind.Value)
		}
		if field, is := strings.CutPrefix(err.Error(), "json: unknown field "); is {
			name, _ := strconv.Unquote(field)
			return wrong(name, "there is no member %s: /openapi.json lists those there are", field)
		}
		return problem(http.StatusBadRequest,
			"the request is no JSON object of this kind: "+strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// aKind is the word for a type of JSON.
func aKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return aKind(t.Elem())
	}
	return "a number of a fitting size"
}

// unique reports a member that an object has twice, and what is not one value of JSON.
func unique(d *json.Decoder) error {
	d.UseNumber()
	if err := uniqueValue(d, 0); err != nil {
		var p *Problem
		if errors.As(err, &p) {
			return p
		}
		if errors.Is(err, io.EOF) {
			err = errors.New("it ends too early")
		}
		return problem(http.StatusBadRequest, "the request is not JSON: "+err.Error())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return problem(http.StatusBadRequest, "there is something behind the object of the request")
	}
	return nil
}

const deepest = 200

func uniqueValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	open, is := t.(json.Delim)
	if !is {
		return nil
	}
	if depth == deepest {
		return problem(http.StatusBadRequest, fmt.Sprintf("the request nests deeper than %d levels", deepest))
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name := key.(string)
			same := name
			if depth == 0 {
				same = strings.ToLower(name) // a member of the request is found whatever its case
			}
			if seen[same] {
				return wrong(name, "the member %q is there twice", name)
			}
			seen[same] = true
		}
		if err := uniqueValue(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
