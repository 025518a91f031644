package serve

import (
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// The page is whole: each file that one of its files names is there, in its type, and none names another host.
func TestPage(t *testing.T) {
	b := newBench(t, Options{})
	all, err := fs.Glob(files, "page/*")
	if err != nil || len(all) < 6 {
		t.Fatalf("the files of the page: %v, %v", all, err)
	}
	named := regexp.MustCompile(`["'(](/page/[^"')]+)["')]`)
	kinds := map[string]string{"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
	for _, file := range all {
		r, err := http.Get(b.url + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		kind := kinds[file[strings.LastIndexByte(file, '.')+1:]]
		if r.StatusCode != 200 || kind == "" || !strings.HasPrefix(r.Header.Get("Content-Type"), kind) ||
			!strings.Contains(r.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: status %d, %v", file, r.StatusCode, r.Header)
		}
		for _, found := range named.FindAllSubmatch(text, -1) {
			if _, err := fs.Stat(files, string(found[1][1:])); err != nil {
				t.Errorf("%s names %s, which is not there", file, found[1])
			}
		}
		hosts := strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", "") // which is a name and no address
		if strings.Contains(hosts, "http:") || strings.Contains(hosts, "https:") || strings.Contains(hosts, `"//`) {
			t.Errorf("%s names another host", file)
		}
	}
	if r, err := http.Get(b.url + "/page/..%2fpage.go"); err != nil || r.StatusCode != 404 {
		t.Errorf("a file outside of the page: %v, %v", r, err)
	}
}
