package serve

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed page
var files embed.FS

// policy lets the page load nothing and talk to nobody but the server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page answers with a file of the page; an empty name is for the one that the path names.
func page(name string) func(http.ResponseWriter, *http.Request) error {
	kinds := map[string]string{".html": "text/html", ".css": "text/css", ".js": "text/javascript",
		".svg": "image/svg+xml"}
	return func(w http.ResponseWriter, r *http.Request) error {
		file := name
		if file == "" {
			file = r.PathValue("file")
		}
		b, err := fs.ReadFile(files, "page/"+file)
		if err != nil {
			return problem(http.StatusNotFound, "there is no such file")
		}
		h := w.Header()
		h.Set("Content-Type", kinds[strings.ToLower(path.Ext(file))]+"; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		w.Write(b)
		return nil
	}
}
