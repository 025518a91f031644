package kernel

import (
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// cellJob runs a cell over rows. strides are, for each pointer, how many elements apart two rows are.
type cellJob struct {
	op      op
	v       vec
	stride  [14]int
	batch   int
	hidden  int
	perTask int
}

var cellJobs jobs[cellJob]

func (j *cellJob) Do(task int) {
	j.rows(task*j.perTask, min((task+1)*j.perTask, j.batch))
}

func (j *cellJob) rows(lo, hi int) {
	v := vec{}
	for r := lo; r < hi; r++ {
		for i, p := range j.v.p {
			v.p[i] = unsafe.Add(p, 4*r*j.stride[i])
		}
		vecRange(j.op, &v, 0, j.hidden)
	}
}

// set makes pointers i, i+1, ... the columns 0, hidden, 2·hidden, ... of x, a matrix of k·hidden columns.
func (j *cellJob) set(i int, x []float32, k int) {
	for c := range k {
		j.v.p[i+c] = unsafe.Add(ptr(x), 4*c*j.hidden)
		j.stride[i+c] = k * j.hidden
	}
}

// cellWork is the number of units in a task: a unit of an LSTM costs about 20 ns in generic Go and 2 in assembly.
const cellWork = 2048

func (j *cellJob) run() {
	j.perTask = max(1, cellWork/j.hidden)
	parallel.Run((j.batch+j.perTask-1)/j.perTask, j)
	*j = cellJob{}
	cellJobs.put(j)
}

func newCell(o op, batch, hidden int) *cellJob {
	j := cellJobs.get()
	j.op, j.batch, j.hidden = o, batch, hidden
	return j
}

// LSTMCell is the pointwise part of a long short-term memory cell (Hochreiter and Schmidhuber 1997, with the forget
// gate of Gers et al. 2000). gates is [batch, 4·hidden], the pre-activations in PyTorch's order i, f, g, o; cPrev is
// [batch, hidden].
//
//	i, f, o = σ(gates_i), σ(gates_f), σ(gates_o);  g = tanh(gates_g)
//	c = f∘cPrev + i∘g
//	h = o∘tanh(c)
//
// h and c are [batch, hidden]; acts [batch, 4·hidden] receives i, f, g, o and may be gates; c may be cPrev.
func LSTMCell(h, c, acts, gates, cPrev []float32, batch, hidden int) {
	if !cellCheck("LSTMCell", batch, hidden) {
		return
	}
	n := batch * hidden
	need("LSTMCell", "h", len(h), n)
	need("LSTMCell", "c", len(c), n)
	need("LSTMCell", "acts", len(acts), 4*n)
	need("LSTMCell", "gates", len(gates), 4*n)
	need("LSTMCell", "cPrev", len(cPrev), n)
	j := newCell(opLSTMCell, batch, hidden)
	j.set(0, h, 1)
	j.set(1, c, 1)
	j.set(2, acts, 4)
	j.set(6, gates, 4)
	j.set(10, cPrev, 1)
	j.run()
}

// cellCheck reports whether there is anything to do.
func cellCheck(kernel string, batch, hidden int) bool {
	size(kernel, "batch", batch)
	size(kernel, "hidden", hidden)
	return batch > 0 && hidden > 0
}

// LSTMCellGrad is the gradient of [LSTMCell]. dh and dc [batch, hidden] are the gradients of h and, from the next step,
// of c; acts, c and cPrev are as LSTMCell left them. tanh(c) is computed again rather than stored.
//
//	d      = dc + dh∘o∘(1 - tanh²(c))
//	dgates = d∘g∘i(1-i), d∘cPrev∘f(1-f), d∘i∘(1-g²), dh∘tanh(c)∘o(1-o)
//	dcPrev = d∘f
//
// dgates [batch, 4·hidden] may be acts; dcPrev [batch, hidden] may be dc or dh.
func LSTMCellGrad(dgates, dcPrev, dh, dc, acts, c, cPrev []float32, batch, hidden int) {
	if !cellCheck("LSTMCellGrad", batch, hidden) {
		return
	}
	n := batch * hidden
	need("LSTMCellGrad", "dgates", len(dgates), 4*n)
	need("LSTMCellGrad", "dcPrev", len(dcPrev), n)
	need("LSTMCellGrad", "dh", len(dh), n)
	need("LSTMCellGrad", "dc", len(dc), n)
	need("LSTMCellGrad", "acts", len(acts), 4*n)
	need("LSTMCellGrad", "c", len(c), n)
	need("LSTMCellGrad", "cPrev", len(cPrev), n)
	j := newCell(opLSTMCellGrad, batch, hidden)
	j.set(0, dgates, 4)
	j.set(4, dcPrev, 1)
	j.set(5, dh, 1)
	j.set(6, dc, 1)
	j.set(7, acts, 4)
	j.set(11, c, 1)
	j.set(12, cPrev, 1)
	j.run()
}

// GRUCell is the pointwise part of a gated recurrent unit (Cho et al. 2014) that resets after the product, as PyTorch
// and cuDNN do. gx and gh are [batch, 3·hidden], the products of the input and of the state (with their biases) in the
// order r, z, n; hPrev is [batch, hidden].
//
//	r = σ(gx_r + gh_r);  z = σ(gx_z + gh_z);  n = tanh(gx_n + r∘gh_n)
//	h = (1-z)∘n + z∘hPrev, computed as n + z∘(hPrev - n)
//
// acts [batch, 3·hidden] receives r, z, n and may be gx; h may be hPrev.
func GRUCell(h, acts, gx, gh, hPrev []float32, batch, hidden int) {
	if !cellCheck("GRUCell", batch, hidden) {
		return
	}
	n := batch * hidden
	need("GRUCell", "h", len(h), n)
	need("GRUCell", "acts", len(acts), 3*n)
	need("GRUCell", "gx", len(gx), 3*n)
	need("GRUCell", "gh", len(gh), 3*n)
	need("GRUCell", "hPrev", len(hPrev), n)
	j := newCell(opGRUCell, batch, hidden)
	j.set(0, h, 1)
	j.set(1, acts, 3)
	j.set(4, gx, 3)
	j.set(7, gh, 3)
	j.set(10, hPrev, 1)
	j.run()
}

// GRUCellGrad is the gradient of [GRUCell]: acts, gh and hPrev are as GRUCell had or left them.
//
//	dgx_n = dh∘(1-z)∘(1-n²);  dgh_n = dgx_n∘r
//	dgx_z = dgh_z = dh∘(hPrev-n)∘z(1-z)
//	dgx_r = dgh_r = dgx_n∘gh_n∘r(1-r)
//	dhPrev = dh∘z, the elementwise path only
//
// dgx may be acts, dgh may be gh, dhPrev may be dh.
func GRUCellGrad(dgx, dgh, dhPrev, dh, acts, gh, hPrev []float32, batch, hidden int) {
	if !cellCheck("GRUCellGrad", batch, hidden) {
		return
	}
	n := batch * hidden
	need("GRUCellGrad", "dgx", len(dgx), 3*n)
	need("GRUCellGrad", "dgh", len(dgh), 3*n)
	need("GRUCellGrad", "dhPrev", len(dhPrev), n)
	need("GRUCellGrad", "dh", len(dh), n)
	need("GRUCellGrad", "acts", len(acts), 3*n)
	need("GRUCellGrad", "gh", len(gh), 3*n)
	need("GRUCellGrad", "hPrev", len(hPrev), n)
	j := newCell(opGRUCellGrad, batch, hidden)
	j.set(0, dgx, 3)
	j.set(3, dgh, 3)
	j.set(6, dhPrev, 1)
	j.set(7, dh, 1)
	j.set(8, acts, 3)
	j.v.p[11] = unsafe.Add(ptr(gh), 4*2*hidden)
	j.stride[11] = 3 * hidden
	j.set(12, hPrev, 1)
	j.run()
}

// GRUReset is the first half of a gated recurrent unit that resets before the product, as in Cho et al. 2014. g is
// [batch, 2·hidden], pre-activations in the order r, z; hPrev is [batch, hidden].
//
//	rz = σ(g);  rh = r∘hPrev
//
// rz [batch, 2·hidden] may be g; rh [batch, hidden] may be hPrev.
func GRUReset(rz, rh, g, hPrev []float32, batch, hidden int) {
	if !cellCheck("GRUReset", batch, hidden) {
		return
	}
	n := batch * hidden
	need("GRUReset", "rz", len(rz), 2*n)
	need("GRUReset", "rh", len(rh), n)
	need("GRUReset", "g", len(g), 2*n)
	need("GRUReset", "hPrev", len(hPrev), n)
	j := newCell(opGRUReset, batch, hidden)
	j.set(0, rz, 2)
	j.set(2, rh, 1)
	j.set(3, g, 2)
	j.set(5, hPrev, 1)
	j.run()
}

// GRUResetGrad is the gradient of [GRUReset]: drz [batch, 2·hidden] is the gradient of rz (of the activated gates),
// drh [batch, hidden] that of rh.
//
//	dg_r = (drz_r + drh∘hPrev)∘r(1-r);  dg_z = drz_z∘z(1-z);  dhPrev = drh∘r
//
// dg may be drz or rz; dhPrev may be drh.
func GRUResetGrad(dg, dhPrev, drz, drh, rz, hPrev []float32, batch, hidden int) {
	if !cellCheck("GRUResetGrad", batch, hidden) {
		return
	}
	n := batch * hidden
	need("GRUResetGrad", "dg", len(dg), 2*n)
	need("GRUResetGrad", "dhPrev", len(dhPrev), n)
	need("GRUResetGrad", "drz", len(drz), 2*n)
	need("GRUResetGrad", "drh", len(drh), n)
	need("GRUResetGrad", "rz", len(rz), 2*n)
	need("GRUResetGrad", "hPrev", len(hPrev), n)
	j := newCell(opGRUResetGrad, batch, hidden)
	j.set(0, dg, 2)
	j.set(2, dhPrev, 1)
	j.set(3, drz, 2)
	j.set(5, drh, 1)
	j.set(6, rz, 2)
	j.set(8, hPrev, 1)
	j.run()
}

// GRUUpdate is the second half of a gated recurrent unit that resets before the product. gn [batch, hidden] is the
// pre-activation of n; rz [batch, 2·hidden] is what [GRUReset] left.
//
//	n = tanh(gn);  h = (1-z)∘n + z∘hPrev, computed as n + z∘(hPrev - n)
//
// n [batch, hidden] may be gn; h may be hPrev.
func GRUUpdate(h, n, gn, rz, hPrev []float32, batch, hidden int) {
	if !cellCheck("GRUUpdate", batch, hidden) {
		return
	}
	t := batch * hidden
	need("GRUUpdate", "h", len(h), t)
	need("GRUUpdate", "n", len(n), t)
	need("GRUUpdate", "gn", len(gn), t)
	need("GRUUpdate", "rz", len(rz), 2*t)
	need("GRUUpdate", "hPrev", len(hPrev), t)
	j := newCell(opGRUUpdate, batch, hidden)
	j.set(0, h, 1)
	j.set(1, n, 1)
	j.set(2, gn, 1)
	j.v.p[3] = unsafe.Add(ptr(rz), 4*hidden)
	j.stride[3] = 2 * hidden
	j.set(4, hPrev, 1)
	j.run()
}

// GRUUpdateGrad is the gradient of [GRUUpdate].
//
//	dgn = dh∘(1-z)∘(1-n²);  drz = (0, dh∘(hPrev-n));  dhPrev = dh∘z
//
// drz [batch, 2·hidden] is with respect to the activated gates. dgn may be n, dhPrev may be dh.
func GRUUpdateGrad(dgn, drz, dhPrev, dh, n, rz, hPrev []float32, batch, hidden int) {
	if !cellCheck("GRUUpdateGrad", batch, hidden) {
		return
	}
	t := batch * hidden
	need("GRUUpdateGrad", "dgn", len(dgn), t)
	need("GRUUpdateGrad", "drz", len(drz), 2*t)
	need("GRUUpdateGrad", "dhPrev", len(dhPrev), t)
	need("GRUUpdateGrad", "dh", len(dh), t)
	need("GRUUpdateGrad", "n", len(n), t)
	need("GRUUpdateGrad", "rz", len(rz), 2*t)
	need("GRUUpdateGrad", "hPrev", len(hPrev), t)
	j := newCell(opGRUUpdateGrad, batch, hidden)
	j.set(0, dgn, 1)
	j.set(1, drz, 2)
	j.set(3, dhPrev, 1)
	j.set(4, dh, 1)
	j.set(5, n, 1)
	j.v.p[6] = unsafe.Add(ptr(rz), 4*hidden)
	j.stride[6] = 2 * hidden
	j.set(7, hPrev, 1)
	j.run()
}
