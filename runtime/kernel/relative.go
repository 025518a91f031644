package kernel

import "math"

// RelativeBias spreads a table [buckets, heads] over the distances of two tokens: bias [heads, span] has at column
// (span-1)/2 + d of row h what head h adds to the score of a key that stands d places behind its query (Raffel et al.
// 2020). Distances from distance on are alike. With both, half of the buckets are for the keys behind a query;
// without, these share the first one.
func RelativeBias(bias, table []float32, buckets, heads, span, distance int, both bool) {
	checkRelative("RelativeBias", bias, table, buckets, heads, span)
	for i := range span {
		row := table[bucket(i-(span-1)/2, buckets, distance, both)*heads:]
		for h := range heads {
			bias[h*span+i] = row[h]
		}
	}
}

// RelativeBiasGrad is the gradient of the table of [RelativeBias], from that of the bias.
func RelativeBiasGrad(dtable, dbias []float32, buckets, heads, span, distance int, both bool) {
	checkRelative("RelativeBiasGrad", dbias, dtable, buckets, heads, span)
	clear(dtable[:buckets*heads])
	for i := range span {
		row := dtable[bucket(i-(span-1)/2, buckets, distance, both)*heads:]
		for h := range heads {
			row[h] += dbias[h*span+i]
		}
	}
}

func checkRelative(name string, bias, table []float32, buckets, heads, span int) {
	size(name, "buckets", buckets)
	size(name, "heads", heads)
	size(name, "span", span)
	need(name, "bias", len(bias), heads*span)
	need(name, "table", len(table), buckets*heads)
}

// bucket is the number of the range of distances that d belongs to: of one side half of the buckets are for one
// distance each, the others for ranges that grow by the same factor up to distance.
func bucket(d, buckets, distance int, both bool) int {
	first := 0
	if both {
		buckets /= 2
		if d > 0 {
			first = buckets
		}
		d = max(d, -d)
	} else {
		d = max(-d, 0)
	}
	exact := buckets / 2
	if d < exact {
		return first + d
	}
	b := exact + int(math.Log(float64(d)/float64(exact))/math.Log(float64(distance)/float64(exact))*float64(
		buckets-exact))
	return first + min(b, buckets-1)
}
