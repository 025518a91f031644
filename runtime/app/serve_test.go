//go:build unix

package app

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/gen/cases/adapter"
	"github.com/gradsmith/gradsmith/gen/cases/bert"
	"github.com/gradsmith/gradsmith/gen/cases/gpt"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// heard is what a server has said so far.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.String()
}

// await waits until the server has said what the pattern finds, as often as that, and gives its last submatch.
func (h *heard) await(t *testing.T, pattern string, times int) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if all := re.FindAllStringSubmatch(h.String(), -1); len(all) >= times {
			last := all[len(all)-1]
			return last[len(last)-1]
		}
	}
	t.Fatalf("the server does not say %s: %s", pattern, h.String())
	return ""
}

// started runs serve with the models gpt and bert, from checkpoints in a folder, until the test ends.
func started(t *testing.T, dir string, args ...string) (said *heard, url string, client *http.Client) {
	t.Helper()
	for _, p := range []Program{gpt.Program(), bert.Program()} {
		path := filepath.Join(dir, p.Info.Name+".safetensors")
		loop := map[string]string{"best": "1.5", "-log": "/somewhere/run.jsonl", "-data": `["/secret/a","b"]`}
		if err := checkpoint.Save(path, p.New(1), checkpoint.Training{Step: 7, Seed: 1, Loop: loop}); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--model", p.Info.Name+"="+path)
	}
	log, err := os.Create(filepath.Join(dir, "run.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	l := train.NewLog(log)
	for i := range 1000 {
		l.Step(train.Progress{Step: i + 1, Loss: 3})
	}
	l.Evaluated(train.Evaluation{Step: 1000, Loss: 2})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	said = new(heard)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- RunServe(ctx, []Program{gpt.Program(), bert.Program()}, append(args, "--address", "localhost:0"),
			io.Discard, said)
	}()
	client = &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		stop()
		if status := <-ended; status != 0 {
			t.Errorf("serve ended with status %d: %s", status, said)
		}
		client.CloseIdleConnections()
	})
	return said, said.await(t, `msg=serving .*url=(https?://[^/]+)/`, 1), client
}

func got(t *testing.T, client *http.Client, method, url, body, key string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var x map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&x); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, x
}

// A program of several models lists all and answers with the one that is meant. SIGHUP reads keys and checkpoints
// again.
func TestServeSeveral(t *testing.T) {
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, []byte("first-key-of-all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said, url, client := started(t, dir, "--keys", keys, "--chat-template", "alpaca")
	const key = "first-key-of-all"
	if status, x := got(t, client, "GET", url+"/v1/models", "", key); status != 200 || len(x["data"].([]any)) != 2 {
		t.Errorf("/v1/models: %d, %v", status, x)
	}
	complete := func(key string) (int, map[string]any) {
		return got(t, client, "POST", url+"/v1/completions", `{"prompt":"abc","max_tokens":200,"seed":1}`, key)
	}
	status, before := complete(key)
	if status != 200 || before["model"] != "gpt" {
		t.Errorf("a request that names no model: %d, %v", status, before)
	}
	if status, x := got(t, client, "POST", url+"/v1/embeddings", `{"model":"bert","input":"abc"}`, key); status != 200 {
		t.Errorf("the second model: %d, %v", status, x)
	}
	status, x := got(t, client, "GET", url+"/v1/models/gpt", "", key)
	training, _ := x["training"].(map[string]any)
	options, _ := training["options"].(map[string]any)
	losses, _ := training["losses"].([]any)
	if status != 200 || training["best"] != 1.5 || training["steps"] != 7.0 || options["data"] != "a, b" ||
		len(losses) < 100 || len(losses) > 300 || x["chat_template"] != "alpaca" {
		t.Errorf("the card: %d, %v", status, x)
	}
	if text, _ := json.Marshal(x); bytes.Contains(text, []byte("secret")) {
		t.Errorf("the card tells where files are: %s", text)
	}
	// Another checkpoint and another key.
	if err := checkpoint.SaveWeights(filepath.Join(dir, "gpt.safetensors"), gpt.Program().New(2)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keys, []byte("second-key-of-all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hangup := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangup()
	said.await(t, `msg=reloaded`, 1)
	if status, _ := complete(key); status != 401 {
		t.Errorf("a key that is gone: %d", status)
	}
	status, after := complete("second-key-of-all")
	text := func(x map[string]any) any { return x["choices"].([]any)[0].(map[string]any)["text"] }
	if status != 200 || text(after) == text(before) {
		t.Errorf("the checkpoint is not read again: %d, %v", status, after)
	}
	// A file that is broken changes nothing.
	if err := os.WriteFile(filepath.Join(dir, "bert.safetensors"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	hangup()
	said.await(t, `msg=reload fault=`, 1)
	if status, again := complete("second-key-of-all"); status != 200 || text(again) != text(after) {
		t.Errorf("after a broken file: %d, %v", status, again)
	}
}

// TLS is served with a certificate that may be renewed while the server runs.
func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := certificate(t, cert, key, 1)
	_, url, client := started(t, dir, "--tls-cert", cert, "--tls-key", key)
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	if !strings.HasPrefix(url, "https://") {
		t.Fatalf("the server is at %s", url)
	}
	if status, x := got(t, client, "GET", url+"/health", "", ""); status != 200 {
		t.Errorf("%d, %v", status, x)
	}
	renewed := certificate(t, cert, key, 2)
	client.CloseIdleConnections()
	if answer, err := client.Get(url + "/health"); err == nil {
		answer.Body.Close()
		t.Error("the certificate is still the old one")
	}
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: renewed}
	client.CloseIdleConnections()
	if status, x := got(t, client, "GET", url+"/health", "", ""); status != 200 {
		t.Errorf("with the new certificate: %d, %v", status, x)
	}
	if answer, err := http.Get("http" + strings.TrimPrefix(url, "https") + "/health"); err == nil {
		answer.Body.Close()
		if answer.StatusCode != 400 {
			t.Errorf("plain HTTP is answered %d", answer.StatusCode)
		}
	}
}

// certificate writes a certificate for this machine that signs itself, and gives what trusts it.
func certificate(t *testing.T, cert, key string, serial int64) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der},
		key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}

// What is wrong with flags is said before anything is served.
func TestServeRefuses(t *testing.T) {
	for args, says := range map[string]string{
		"--places 0":                 "--places",
		"--tls-cert cert.pem":        "--tls-key",
		"--chat-template nonsense":   "chatml",
		"--model other=file":         "NAME=FILE",
		"--model gpt=not.there":      "not.there",
		"--keys not.there":           "not.there",
		"--waiting -1":               "--waiting",
		"--weights q3":               "q3",
		"surplus":                    "surplus",
		"--profile-port 1 --grace x": "grace",
	} {
		var said bytes.Buffer
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		if status := RunServe(ctx, []Program{gpt.Program()}, strings.Fields(args), io.Discard, &said); status != 1 ||
			!strings.Contains(said.String(), says) || strings.Count(said.String(), "\n") != 1 {
			t.Errorf("%s: status %d, %q", args, status, said.String())
		}
		stop()
	}
}

// Several adapters of one checkpoint are models of their own names, which write what the other commands write with
// them, at the same time; the checkpoint itself is one too.
func TestServeAdapters(t *testing.T) {
	t.Chdir(t.TempDir())
	p := adapter.Program()
	if err := checkpoint.SaveBase("base", adapter.NewSeeded(9), checkpoint.F32); err != nil {
		t.Fatal(err)
	}
	save := func(path string, seed uint64) {
		t.Helper()
		m := adapter.NewSeeded(seed)
		for i, x := range model.Adaptions(m) {
			for j := range x.B.Value {
				x.B.Value[j] = float32(int(model.Key(seed, uint64(i), uint64(j))%200)-100) / 50
			}
		}
		if err := checkpoint.SaveAdapter(path, m); err != nil {
			t.Fatal(err)
		}
	}
	save("first", 1)
	save("second", 2)
	prompts := []string{"a", "ab", "fed", "cc"}
	want := map[string][]string{}
	for name, file := range map[string]string{"one": "first", "two": "second", "plain": "none"} {
		for _, prompt := range prompts {
			var out, errOut bytes.Buffer
			if Run(context.Background(), p, []string{"sample", "--model", "base", "--adapter", file, "--prompt", prompt,
				"--tokens", "3", "--temperature", "0"}, &out, &errOut) != 0 {
				t.Fatal(errOut.String())
			}
			want[name] = append(want[name], strings.TrimPrefix(strings.TrimSuffix(out.String(), "\n"), prompt))
		}
	}
	if slices.Equal(want["one"], want["two"]) || slices.Equal(want["one"], want["plain"]) {
		t.Fatalf("the adapters change nothing: %v", want)
	}
	said := new(heard)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- Run(ctx, p, []string{"serve", "--model", "base", "--adapter", "one=first", "--adapter", "two=second",
			"--adapter", "plain=none", "--address", "localhost:0"}, io.Discard, said)
	}()
	client := &http.Client{Transport: &http.Transport{}}
	defer func() {
		stop()
		if status := <-ended; status != 0 {
			t.Errorf("serve ended with status %d: %s", status, said)
		}
		client.CloseIdleConnections()
	}()
	url := said.await(t, `msg=serving .*models="one two plain" url=(https?://[^/]+)/`, 1)
	if _, x := got(t, client, "GET", url+"/v1/models", "", ""); len(x["data"].([]any)) != 3 {
		t.Errorf("/v1/models: %v", x)
	}
	asks := func() {
		t.Helper()
		var all sync.WaitGroup
		for name, texts := range want {
			for i, prompt := range prompts {
				all.Go(func() {
					status, x := got(t, client, "POST", url+"/v1/completions", fmt.Sprintf(
						`{"model":%q,"prompt":%q,"max_tokens":3,"temperature":0}`, name, prompt), "")
					if status != 200 || x["model"] != name ||
						x["choices"].([]any)[0].(map[string]any)["text"] != texts[i] {
						t.Errorf("%s, %q: %d, %v, want %q", name, prompt, status, x, texts[i])
					}
				})
			}
		}
		all.Wait()
	}
	asks()
	// Another adapter under one of the names, without ending.
	save("first", 2)
	want["one"] = want["two"]
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	said.await(t, `msg=reloaded`, 1)
	asks()
	if status, x := got(t, client, "POST", url+"/v1/completions", `{"model":"adapter","prompt":"a"}`,
		""); status != 404 {
		t.Errorf("a name that is not there: %d, %v", status, x)
	}
	for args, says := range map[string]string{
		"--adapter one=first --adapter second":     "NAME=FILE",
		"--adapter one=first --adapter one=second": "two of the name one",
		"--adapter one=gone --adapter two=second":  "gone",
		"--adapter one=base":                       "does not have the adapter",
	} {
		var errOut bytes.Buffer
		args := append([]string{"serve", "--model", "base", "--address", "localhost:0"}, strings.Fields(args)...)
		if Run(ctx, p, args, io.Discard, &errOut) != 1 || !strings.Contains(errOut.String(), says) {
			t.Errorf("%s: %s", args, errOut.String())
		}
	}
}
