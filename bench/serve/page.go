package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"

	"github.com/gradsmith/gradsmith/examples/embedded/newton"
	"github.com/gradsmith/gradsmith/examples/glyphs"
	"github.com/gradsmith/gradsmith/examples/reverse"
	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/serve"
)

// page drives the page of a server with a model of each family.
func page(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("page", flag.ExitOnError)
	pictures := fs.String("pictures", "", "folder for pictures of the page")
	folder := fs.String("models", "",
		"folder with reverse.safetensors and glyphs.safetensors, for pictures that say more")
	fs.Parse(args)
	models := []serve.Model{}
	for _, x := range []struct {
		program model.Program
		path    string
	}{
		{newton.Program(), "../examples/embedded/newton.safetensors"},
		{reverse.Program(), filepath.Join(*folder, "reverse.safetensors")},
		{glyphs.Program(), filepath.Join(*folder, "glyphs.safetensors")},
		{textvae.Program(), ""}, {gan.Program(), ""}, {bertmini.Program(), ""},
	} {
		m := fresh(x.program)
		if _, err := os.Stat(x.path); x.path != "" && err == nil {
			if err := checkpoint.LoadWeights(x.path, m.Model); err != nil {
				return err
			}
			m.Trained = app.Trained(x.path)
		}
		models = append(models, m)
	}
	return served(ctx, serve.Options{}, models, func(url string) error {
		args := []string{url}
		if *pictures != "" {
			to, err := filepath.Abs(*pictures)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(to, 0o777); err != nil {
				return err
			}
			args = append(args, to)
		}
		return node(ctx, "page.mjs", args, nil)
	})
}
