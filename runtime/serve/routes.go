package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// route is a path with what answers it.
type route struct {
	pattern string
	about   string
	body    any // of a request; nil for none
	answer  func(http.ResponseWriter, *http.Request) error
}

// table is all that the API has.
func (s *Server) table() []route {
	return []route{
		{"GET /health", "whether models are loaded: 200, or 503", nil, s.health},
		{"GET /v1/models", "the models that are served", nil, s.list},
		{"GET /v1/models/{name}", "a model with its layers", nil, s.show},
		{"POST /v1/completions", "goes on with a prompt", completionRequest{}, s.completions},
		{"POST /v1/chat/completions", "answers a conversation", chatRequest{}, s.chats},
		{"POST /v1/embeddings", "representations of texts", embeddingsRequest{}, s.embeddings},
		{"POST /tokenize", "the tokens of a text", tokenizeRequest{}, s.tokenize},
		{"POST /detokenize", "the text of tokens", detokenizeRequest{}, s.detokenize},
		{"POST /v1/translate", "answers of a model with an encoder", translateRequest{}, s.translate},
		{"POST /v1/fill", "fills in the masks of a text", fillRequest{}, s.fill},
		{"POST /v1/latent/encode", "the means of latent vectors", encodeRequest{}, s.encode},
		{"POST /v1/latent/decode", "what is made of latent vectors", decodeLatentRequest{}, s.decodeLatent},
		{"POST /v1/latent/interpolate", "what lies between two texts or vectors", interpolateRequest{}, s.interpolate},
		{"POST /v1/images", "pictures as PNG", imagesRequest{}, s.images},
		{"GET /openapi.json", "this description", nil, s.openAPI},
	}
}

// routes says which path is answered by what.
func (s *Server) routes() {
	handle := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := f(w, r); err != nil {
				fail(w, err)
			}
		})
	}
	for _, r := range s.table() {
		handle(r.pattern, r.answer)
	}
	s.mux.Handle("GET /metrics", s.metrics.handler())
	handle("GET /{$}", page("index.html"))
	handle("GET /page/{file}", page(""))
	handle("/", func(w http.ResponseWriter, r *http.Request) error {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if _, pattern := s.mux.Handler(&http.Request{Method: method, URL: r.URL,
				Host: r.Host}); method != r.Method && pattern != "/" {
				w.Header().Set("Allow", method)
				return problem(http.StatusMethodNotAllowed,
					fmt.Sprintf("%s takes %s, not %s", r.URL.Path, method, r.Method))
			}
		}
		return problem(http.StatusNotFound,
			fmt.Sprintf("there is no %s: /openapi.json lists what there is", r.URL.Path))
	})
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.all(r); err != nil {
		return err
	}
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// paths are those that make sense for the model.
func (m *served) paths() []string {
	i := m.info
	var p []string
	switch {
	case m.batch != nil:
		p = []string{"/v1/completions", "/v1/chat/completions"}
	case i.Adversary != nil && i.Vector != nil:
		p = []string{"/v1/images"}
	case i.Vector != nil && i.Latent != nil:
		p = []string{"/v1/latent/encode", "/v1/latent/decode", "/v1/latent/interpolate", "/v1/images"}
	case i.Latent != nil:
		p = []string{"/v1/latent/encode", "/v1/latent/decode", "/v1/latent/interpolate"}
	case i.Source != nil:
		p = []string{"/v1/translate"}
	case i.Masking != nil:
		p = []string{"/v1/fill"}
	}
	if m.embeds {
		p = append(p, "/v1/embeddings")
	}
	if m.Program.Tokenizer != nil {
		p = append(p, "/tokenize", "/detokenize")
	}
	return p
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	models, err := s.all(r)
	if err != nil {
		return err
	}
	all := []card{}
	for _, m := range models {
		all = append(all, m.card(false))
	}
	answer(w, http.StatusOK, map[string]any{"object": "list", "data": all})
	return nil
}

func (s *Server) show(w http.ResponseWriter, r *http.Request) error {
	m, err := s.pick(r, r.PathValue("name"))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, m.card(true))
	return nil
}

// asked reads a request and finds its model, which must answer the path.
func (s *Server) asked(r *http.Request, body any, name *string) (*served, error) {
	if err := decode(r, body); err != nil {
		return nil, err
	}
	m, err := s.pick(r, *name)
	if err != nil {
		return nil, err
	}
	for _, p := range m.paths() {
		if p == r.URL.Path {
			return m, nil
		}
	}
	return nil, wrong("model", "%s does not answer %s; %s", m.info.Name, r.URL.Path, m.does())
}

func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) error {
	var q tokenizeRequest
	m, err := s.asked(r, &q, &q.Model)
	if err != nil {
		return err
	}
	tokens, err := m.Program.Tokenizer.Encode(q.Content)
	if err != nil {
		return wrong("content", "%v", err)
	}
	if tokens == nil {
		tokens = []int32{}
	}
	if !q.Pieces {
		answer(w, http.StatusOK, map[string]any{"tokens": tokens})
		return nil
	}
	type piece struct {
		ID    int32  `json:"id"`
		Piece string `json:"piece"`
	}
	pieces := []piece{}
	for _, t := range tokens {
		pieces = append(pieces, piece{t, m.Program.Tokenizer.Piece(t)})
	}
	answer(w, http.StatusOK, map[string]any{"tokens": pieces})
	return nil
}

func (s *Server) detokenize(w http.ResponseWriter, r *http.Request) error {
	var q detokenizeRequest
	m, err := s.asked(r, &q, &q.Model)
	if err != nil {
		return err
	}
	for i, t := range q.Tokens {
		if t < 0 || int(t) >= m.Program.Tokenizer.Vocab() {
			return wrong("tokens", "token %d at place %d is not one of 0 to %d", t, i, m.Program.Tokenizer.Vocab()-1)
		}
	}
	answer(w, http.StatusOK, map[string]any{"content": m.Program.Tokenizer.Decode(q.Tokens)})
	return nil
}

func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) error {
	var q embeddingsRequest
	m, err := s.asked(r, &q, &q.Model)
	if err != nil {
		return err
	}
	switch {
	case len(q.Input) == 0 || len(q.Input) > s.options.MaxChoices*16:
		return wrong("input", "%d texts: give 1 to %d", len(q.Input), s.options.MaxChoices*16)
	case q.Encoding != "" && q.Encoding != "float" && q.Encoding != "base64":
		return wrong("encoding_format", "encoding_format %q: give float or base64", q.Encoding)
	case q.Dimensions != nil:
		return wrong("dimensions", "the model's vectors have one size, which no request changes")
	}
	done, err := m.alone(r.Context())
	if err != nil {
		return err
	}
	defer done()
	embed, err := inference.Embedder(m.Model.Model, m.Program.Tokenizer)
	if err != nil {
		return wrong("model", "%v", err)
	}
	type item struct {
		Object    string `json:"object"`
		Index     int    `json:"index"`
		Embedding any    `json:"embedding"`
	}
	data := []item{}
	count := 0
	for i, text := range q.Input {
		tokens, err := m.Program.Tokenizer.Encode(text)
		if err != nil {
			return wrong("input", "text %d: %v", i, err)
		}
		count += len(tokens)
		x, err := embed(r.Context(), text)
		if err != nil {
			return inMember("input", fmt.Errorf("text %d: %w", i, err))
		}
		it := item{"embedding", i, x}
		if q.Encoding == "base64" {
			b := make([]byte, 0, 4*len(x))
			for _, v := range x {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
			}
			it.Embedding = base64.StdEncoding.EncodeToString(b)
		}
		data = append(data, it)
	}
	answer(w, http.StatusOK,
		map[string]any{"object": "list", "model": m.info.Name, "data": data,
			"usage": map[string]int{"prompt_tokens": count, "total_tokens": count}})
	return nil
}

func (s *Server) translate(w http.ResponseWriter, r *http.Request) error {
	var q translateRequest
	m, err := s.asked(r, &q, &q.Model)
	if err != nil {
		return err
	}
	width := 1
	if q.Beam != nil {
		width = *q.Beam
	}
	if width < 1 || width > 32 {
		return wrong("beam", "a beam of %d: give 1 to 32", width)
	}
	if len(q.Input) == 0 || len(q.Input) > s.options.MaxChoices {
		return wrong("input", "%d texts: give 1 to %d", len(q.Input), s.options.MaxChoices)
	}
	if q.Align && !m.aligns {
		return wrong("alignment", "%s does not tell where it looks", m.info.Name)
	}
	data := []translation{}
	for i, text := range q.Input {
		t := translation{Index: i}
		err := m.do(r.Context(), func() error { return m.translate(r.Context(), &t, text, width, q.Align) })
		if err != nil {
			return err
		}
		data = append(data, t)
	}
	answer(w, http.StatusOK, map[string]any{"object": "list", "model": m.info.Name, "data": data})
	return nil
}

// translation is an answer; a row of the alignment is of a token of the answer, with a weight for each of the source.
type translation struct {
	Index     int         `json:"index"`
	Text      string      `json:"text"`
	Source    []string    `json:"source,omitempty"` // tokens
	Tokens    []string    `json:"tokens,omitempty"`
	Alignment [][]float32 `json:"alignment,omitempty"`
}

func (m *served) translate(ctx context.Context, t *translation, source string, width int, align bool) error {
	from, to, lm := m.Program.SourceTokenizer, m.Program.Tokenizer, m.Model.Model.(model.Writer)
	x, err := text.EncodeSource(source, from, *m.info.Source)
	if err != nil {
		return wrong("input", "%v", err)
	}
	found, err := inference.Answer(ctx, lm, x, width, m.info.Steps-1, sample.Ranking{Length: 1})
	if err != nil {
		return err
	}
	if t.Text = to.Decode(found.Tokens); !align {
		return nil
	}
	y := found.Tokens
	if found.Ended {
		y = append(y, m.info.Source.AnswerEnd)
	}
	t.Source, t.Tokens = pieces(from, x), pieces(to, y)
	t.Alignment, err = inference.Alignment(ctx, lm, x, y)
	return err
}

func pieces(tok model.Tokenizer, tokens []int32) []string {
	all := make([]string, len(tokens))
	for i, t := range tokens {
		all[i] = tok.Piece(t)
	}
	return all
}

func (s *Server) fill(w http.ResponseWriter, r *http.Request) error {
	var q fillRequest
	m, err := s.asked(r, &q, &q.Model)
	if err != nil {
		return err
	}
	top := 5
	if q.Top != nil {
		top = *q.Top
	}
	top = min(top, int(m.info.Masking.Token))
	var text string
	var blanks []inference.Blank
	err = m.do(r.Context(), func() (err error) {
		text, blanks, err = inference.Fill(m.Model.Model.(model.Predictor), m.Program.Tokenizer, q.Input, top)
		return err
	})
	if err != nil {
		return wrong("input", "%v", err)
	}
	type guess struct {
		Token       string  `json:"token"`
		Probability float32 `json:"probability"`
	}
	all := [][]guess{}
	for _, b := range blanks {
		var g []guess
		for i, t := range b.Tokens {
			g = append(g, guess{m.Program.Tokenizer.Piece(t), b.Probabilities[i]})
		}
		all = append(all, g)
	}
	answer(w, http.StatusOK, map[string]any{"object": "fill", "model": m.info.Name, "text": text, "blanks": all})
	return nil
}

// labels are those of a request, one for each row where the model is conditional.
func (m *served) labels(given []int32, rows int) ([]int32, error) {
	if m.info.Labels == 0 {
		if len(given) > 0 {
			return nil, wrong("labels", "%s has no labels", m.info.Name)
		}
		return nil, nil
	}
	if err := m.info.CheckLabels(given, rows); err != nil {
		return nil, wrong("labels", "%v", err)
	}
	return given, nil
}

const mostRows = 256 // of one request

func count(param string, n int) error {
	if n < 1 || n > mostRows {
		return wrong(param, "%d of them: give 1 to %d", n, mostRows)
	}
	return nil
}

// rowsOf cuts numbers into rows.
func rowsOf(x []float32, width int) [][]float32 {
	rows := [][]float32{}
	for i := 0; i+width <= len(x); i += width {
		rows = append(rows, x[i:i+width])
	}
	return rows
}

// joined puts rows of one width behind each other.
func joined(param string, rows [][]float32, width int) ([]float32, error) {
	var x []float32
	for i, r := range rows {
		if len(r) != width {
			return nil, wrong(param, "vector %d has %d numbers, the model has %d", i, len(r), width)
		}
		x = append(x, r...)
	}
	return x, nil
}

func (s *Server) encode(w http.ResponseWriter, r *http.Request) error {
	var q encodeRequest
	m, err := s.asked(r, &q, &q.Model)
	if err != nil {
		return err
	}
	n := len(q.Input)
	if m.info.Vector != nil {
		n = len(q.Vectors)
	}
	if err := count("input", n); err != nil {
		return err
	}
	labels, err := m.labels(q.Labels, n)
	if err != nil {
		return err
	}
	done, err := m.alone(r.Context())
	if err != nil {
		return err
	}
	defer done()
	var z []float32
	if m.info.Vector != nil {
		x, err := joined("vectors", q.Vectors, m.info.Vector.Width)
		if err != nil {
			return err
		}
		z, err = inference.EncodeVectors(m.Model.Model.(model.Autoencoder), x, labels)
		if err != nil {
			return err
		}
	} else if z, err = inference.EncodeSentences(m.Model.Model.(model.Autoencoder), m.Program.Tokenizer, q.Input,
		labels); err != nil {
		return err
	}
	answer(w, http.StatusOK,
		map[string]any{"object": "list", "model": m.info.Name, "latent": rowsOf(z, m.info.Latent.Width)})
	return nil
}

func (s *Server) decodeLatent(w http.ResponseWriter, r *http.Request) error {
	var q decodeLatentRequest
	m, err := s.asked(r, &q, &q.Model)
	if err != nil {
		return err
	}
	if err := count("latent", len(q.Latent)); err != nil {
		return err
	}
	z, err := joined("latent", q.Latent, m.info.Latent.Width)
	if err != nil {
		return err
	}
	labels, err := m.labels(q.Labels, len(q.Latent))
	if err != nil {
		return err
	}
	done, err := m.alone(r.Context())
	if err != nil {
		return err
	}
	defer done()
	if m.info.Vector != nil {
		x, err := inference.DecodeVectors(m.Model.Model.(model.Autoencoder), z, labels)
		if err != nil {
			return err
		}
		answer(w, http.StatusOK,
			map[string]any{"object": "list", "model": m.info.Name, "vectors": rowsOf(x, m.info.Vector.Width)})
		return nil
	}
	var opts []sample.Option
	if q.Temperature != nil {
		opts = append(opts, sample.Temperature(*q.Temperature), sample.Seed(uint64(seedOf(q.Seed))))
	}
	lines, err := inference.DecodeSentences(r.Context(), m.Model.Model.(inference.Sentences), m.Program.Tokenizer, z,
		labels, opts...)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, map[string]any{"object": "list", "model": m.info.Name, "texts": lines})
	return nil
}

func seedOf(given *int64) int64 {
	if given != nil {
		return *given
	}
	return int64(rand.Uint64() >> 1)
}

func (s *Server) interpolate(w http.ResponseWriter, r *http.Request) error {
	var q interpolateRequest
	m, err := s.asked(r, &q, &q.Model)
	if err != nil {
		return err
	}
	steps := 8
	if q.Steps != nil {
		steps = *q.Steps
	}
	if steps < 2 || steps > mostRows {
		return wrong("steps", "%d steps: give 2 to %d", steps, mostRows)
	}
	if m.info.Labels > 0 && (q.Label < 0 || int(q.Label) >= m.info.Labels) {
		return wrong("label", "label %d is not one of 0 to %d", q.Label, m.info.Labels-1)
	}
	done, err := m.alone(r.Context())
	if err != nil {
		return err
	}
	defer done()
	if m.info.Vector != nil {
		if len(q.Vectors) != 2 {
			return wrong("vectors", "%d vectors: give two", len(q.Vectors))
		}
		x, err := inference.InterpolateVectors(m.Model.Model.(model.Autoencoder), q.Vectors[0], q.Vectors[1], steps,
			q.Label)
		if err != nil {
			return err
		}
		answer(w, http.StatusOK,
			map[string]any{"object": "list", "model": m.info.Name, "vectors": rowsOf(x, m.info.Vector.Width)})
		return nil
	}
	if len(q.Input) != 2 {
		return wrong("input", "%d texts: give two", len(q.Input))
	}
	lines, err := inference.InterpolateSentences(r.Context(), m.Model.Model.(inference.Sentences), m.Program.Tokenizer,
		q.Input[0], q.Input[1], steps, q.Label)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, map[string]any{"object": "list", "model": m.info.Name, "texts": lines})
	return nil
}

func (s *Server) images(w http.ResponseWriter, r *http.Request) error {
	var q imagesRequest
	m, err := s.asked(r, &q, &q.Model)
	if err != nil {
		return err
	}
	n := 1
	if q.N != nil {
		n = *q.N
	}
	if err := count("n", n); err != nil {
		return err
	}
	labels, err := m.labels(q.Labels, n)
	if err != nil {
		return err
	}
	size := m.info.Vector.Width
	width := int(math.Sqrt(float64(size)))
	if q.Width != nil {
		width = *q.Width
	}
	if width < 1 || width > size || size%width != 0 {
		return wrong("width",
			"a width of %d: the model makes %d numbers, which are no rows of that; give another width", width, size)
	}
	seed := seedOf(q.Seed)
	var x []float32
	err = m.do(r.Context(), func() (err error) {
		x, err = m.pictures(n, labels, uint64(seed))
		return err
	})
	if err != nil {
		return err
	}
	type item struct {
		PNG json.RawMessage `json:"b64_json"`
	}
	data := []item{}
	for _, row := range rowsOf(x, size) {
		b, err := picture(row, width, m.info.Vector)
		if err != nil {
			return err
		}
		s, _ := json.Marshal(b)
		data = append(data, item{s})
	}
	answer(w, http.StatusOK,
		map[string]any{"created": time.Now().Unix(), "model": m.info.Name, "seed": seed, "data": data})
	return nil
}

// pictures makes vectors.
func (m *served) pictures(n int, labels []int32, seed uint64) ([]float32, error) {
	if g, ok := m.Model.Model.(model.Adversaries); ok {
		return g.Generate(n, labels, seed)
	}
	return inference.SampleVectors(m.Model.Model.(model.Autoencoder), n, labels, seed)
}

// picture draws a row as a PNG, 0 or Low black and 1 or High white.
func picture(row []float32, width int, v *model.Vector) ([]byte, error) {
	low, high := 0.0, 1.0
	if v.Bounded {
		low, high = v.Low, v.High
	}
	img := image.NewGray(image.Rect(0, 0, width, len(row)/width))
	for i, x := range row {
		share := min(1, max(0, (float64(x)-low)/(high-low)))
		img.SetGray(i%width, i/width, color.Gray{Y: uint8(math.Round(255 * share))})
	}
	var b bytes.Buffer
	err := png.Encode(&b, img)
	return b.Bytes(), err
}
