package model

// Rows makes c rows from up to to of b, for all time steps: what a shard of a batch reads. width and noise are how
// wide the rows of Vectors and Noise are. What is time-major is copied, into the memory that c has where that is large
// enough; the rest of c shares the memory of b.
func (b *Batch) Rows(c *Batch, from, to, width, noise int) {
	n := to - from
	c.Steps, c.SourceSteps, c.Batch = b.Steps, b.SourceSteps, n
	c.Tokens = columns(c.Tokens, b.Tokens, b.Steps, b.Batch, from, n)
	c.Targets = columns(c.Targets, b.Targets, b.Steps, b.Batch, from, n)
	c.Reset = columns(c.Reset, b.Reset, b.Steps, b.Batch, from, n)
	c.Source = columns(c.Source, b.Source, b.SourceSteps, b.Batch, from, n)
	c.Weights = columns(c.Weights, b.Weights, b.Steps, b.Batch, from, n)
	c.Made = columns(c.Made, b.Made, b.Steps, b.Batch, from, n)
	c.Labels = rows(b.Labels, from, to, 1)
	c.Vectors = rows(b.Vectors, from, to, width)
	c.Noise = rows(b.Noise, from, to, noise)
	c.Mix = rows(b.Mix, from, to, 1)
}

// columns copies columns from up to from+n of x [steps, batch], where there is one, to dst.
func columns[T any](dst, x []T, steps, batch, from, n int) []T {
	if len(x) < steps*batch || len(x) == 0 {
		return dst[:0]
	}
	dst = Sized(dst, steps*n)
	for t := range steps {
		copy(dst[t*n:(t+1)*n], x[t*batch+from:])
	}
	return dst
}

func rows[T any](x []T, from, to, width int) []T {
	if len(x) < to*width {
		return nil
	}
	return x[from*width : to*width]
}

// Sized is n elements of x, or of new memory where x has fewer.
func Sized[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, n)
	}
	return x[:n]
}
