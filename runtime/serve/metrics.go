package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gradsmith/gradsmith/runtime/batch"
)

// metrics are what /metrics tells, in a registry of the server's own.
type metrics struct {
	registry       *prometheus.Registry
	requests       *prometheus.CounterVec
	seconds        *prometheus.HistogramVec
	first, between prometheus.Histogram
}

func newMetrics(s *Server) *metrics {
	buckets := prometheus.ExponentialBuckets(0.001, 2, 16)
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gradsmith_requests_total",
			Help: "Requests that were answered."}, []string{"path", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gradsmith_request_seconds",
			Help: "Time from a request to the end of its answer.", Buckets: buckets}, []string{"path"}),
		first: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gradsmith_first_token_seconds",
			Help: "Time from a request to the first token of a text.", Buckets: buckets}),
		between: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gradsmith_between_tokens_seconds",
			Help: "Time between two tokens of a text, as its reader gets them.", Buckets: buckets}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.first, m.between, &batches{s}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// answered counts a request. pattern is that of the route, so that no client makes new series.
func (m *metrics) answered(pattern string, status int, took time.Duration) {
	if pattern == "" || pattern == "/" {
		pattern = "other"
	}
	m.requests.WithLabelValues(pattern, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(pattern).Observe(took.Seconds())
}

// batches tells what the models' batches are doing.
type batches struct{ s *Server }

var gauges = []struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(batch.Stats) float64
}{
	{told("places", "Texts that can be written at the same time."), prometheus.GaugeValue,
		func(s batch.Stats) float64 { return float64(s.Places) }},
	{told("writing", "Texts that are written."), prometheus.GaugeValue,
		func(s batch.Stats) float64 { return float64(s.Writing) }},
	{told("reading", "Texts whose prompts are read."), prometheus.GaugeValue,
		func(s batch.Stats) float64 { return float64(s.Reading) }},
	{told("waiting", "Texts that wait for a place."), prometheus.GaugeValue,
		func(s batch.Stats) float64 { return float64(s.Waiting) }},
	{told("parked", "Texts that wait for a slow reader."), prometheus.GaugeValue,
		func(s batch.Stats) float64 { return float64(s.Parked) }},
	{told("steps_total", "Steps for all texts together."), prometheus.CounterValue,
		func(s batch.Stats) float64 { return float64(s.Steps) }},
	{told("tokens_written_total", "Tokens that were written."), prometheus.CounterValue,
		func(s batch.Stats) float64 { return float64(s.Written) }},
	{told("prompt_tokens_total", "Tokens of prompts."), prometheus.CounterValue,
		func(s batch.Stats) float64 { return float64(s.PromptTokens) }},
	{told("prompt_tokens_shared_total", "Tokens of prompts that had been read for others."), prometheus.CounterValue,
		func(s batch.Stats) float64 { return float64(s.SharedTokens) }},
	{told("texts_total", "Texts that have ended."), prometheus.CounterValue,
		func(s batch.Stats) float64 { return float64(s.Texts) }},
	{told("texts_cancelled_total", "Texts that were given up."), prometheus.CounterValue,
		func(s batch.Stats) float64 { return float64(s.Cancelled) }},
}

func told(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("gradsmith_"+name, help, []string{"model"}, nil)
}

// Describe tells what there is.
func (b *batches) Describe(to chan<- *prometheus.Desc) {
	for _, g := range gauges {
		to <- g.desc
	}
}

// Collect tells the numbers.
func (b *batches) Collect(to chan<- prometheus.Metric) {
	models, release := b.s.hold()
	defer release()
	if models == nil {
		return
	}
	for _, m := range models.models {
		if m.batch == nil {
			continue
		}
		stats := m.batch.Stats()
		for _, g := range gauges {
			to <- prometheus.MustNewConstMetric(g.desc, g.kind, g.of(stats), m.info.Name)
		}
	}
}

// pace is what the log tells of the tokens of a request, beside the metrics of all. A nil one notes nothing.
type pace struct {
	texts, gaps         int
	first, sum, longest time.Duration
}

// began notes the first token of a text, took after the request.
func (p *pace) began(took time.Duration) {
	if p == nil {
		return
	}
	if p.texts++; p.texts == 1 {
		p.first = took
	}
}

// went notes another one.
func (p *pace) went(took time.Duration) {
	if p == nil {
		return
	}
	p.gaps++
	p.sum += took
	p.longest = max(p.longest, took)
}

// attributes are for the line of the log: none where nothing was written.
func (p *pace) attributes() []any {
	if p.texts == 0 {
		return nil
	}
	mean := p.sum.Seconds() / float64(max(1, p.gaps))
	return []any{"tokens", p.texts + p.gaps, "first_token", p.first.Seconds(), "between_tokens", mean,
		"longest_between", p.longest.Seconds()}
}
