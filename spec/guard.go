package spec

// Guard says what a training does about steps that would do harm.
type Guard struct {
	Pos
	Kind      string  // "none", "finite", "norm"
	Times     float64 // norm: how many times the running median a gradient's norm may be
	Window    int     // norm: norms that the median is of
	Skips     int     // bad steps in a row after which the rate is lowered
	Factor    float64 // what it is multiplied with
	Lowerings int     // of the rate, after which the training goes back to a checkpoint
	Returns   int     // to one checkpoint, after which the training fails
}

// guardSettings are those of what comes after a step that was skipped.
func guardSettings(keys ...*key) *typ {
	return object("", append(keys,
		with("skips", integer(1, maxCount), 3, "Bad steps in a row after which the rate is lowered.").called("patience",
			"steps"),
		with("factor", above(0, 1), 0.5, "What the rate is multiplied with then, for the rest of the training.").
			called("gamma", "decay"),
		with("lowerings", integer(0, maxCount), 2, "How often that happens, without `window` good steps in a row in "+
			"between (100 for `finite`), before the training goes back to its last checkpoint.").called("reductions"),
		with("returns", integer(0, maxCount), 3, "How often it goes back to the same checkpoint before it fails.").
			called("rollbacks", "restores"))...)
}

var guardType = choice("guard", "A step whose loss or gradient is not finite moves nothing. It is skipped, with its "+
	"part of the data, and counts as one of the training's; after some in a row the rate is lowered, and when that "+
	"does not help the training goes back to its last checkpoint, with the lower rate. Each is reported, and stands in "+
	"the log, with the layer where it began.",
	word{name: "none", doc: "Such a step ends the training; its last checkpoint is kept.",
		also: []string{"off", "fail", "stop"}},
	word{name: "finite", doc: "Steps whose loss or gradient is not finite are skipped.", also: []string{"nan", "on"},
		typ: guardSettings()},
	word{name: "norm", doc: "So are steps whose gradient is far larger than usual.",
		also: []string{"spike", "explosion", "median"}, typ: guardSettings(
			with("times", above(1, 1e9), 10.0, "A step is skipped when its gradient's norm, before clipping, is above so "+
				"many times the median of the last ones, as soon as there are 20 of them.").called("threshold",
				"multiple", "factor_of_median", "limit"),
			with("window", integer(20, 1e6), 100, "How many norms the median is of.").called("median_of",
				"history")).shortFor("times")},
)

func guardKey() *key {
	return with("guard", guardType, "finite", "What is done about steps that would do harm.").called("on_nan",
		"spike_guard", "anomaly", "safeguard")
}

func (c *checker) guard(v *value) Guard {
	return Guard{Pos: v.Pos, Kind: v.word,
		Times: v.set.key("times").number, Window: int(v.set.key("window").integer),
		Skips: int(v.set.key("skips").integer), Factor: v.set.key("factor").number,
		Lowerings: int(v.set.key("lowerings").integer), Returns: int(v.set.key("returns").integer)}
}
