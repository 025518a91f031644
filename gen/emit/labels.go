package emit

import "github.com/dave/jennifer/jen"

// Conditional models take a label of each row: their methods have one parameter more, and check what it holds.

func (e *emitter) conditional() bool { return e.spec.Labels != nil }

// withLabels is a piece of a comment for conditional models.
func (e *emitter) withLabels(text string) string {
	if !e.conditional() {
		return ""
	}
	return text
}

// labelParam is the parameter of a method that takes labels.
func (e *emitter) labelParam() []jen.Code {
	if !e.conditional() {
		return nil
	}
	return []jen.Code{jen.Id("labels").Index().Int32()}
}

// runtimeLabels is the parameter of a method by which the runtime hands labels to any model; one that is not
// conditional does not look at them.
func (e *emitter) runtimeLabels() jen.Code {
	if !e.conditional() {
		return jen.Id("_").Index().Int32()
	}
	return jen.Id("labels").Index().Int32()
}

// checkLabels reports when there are not as many labels as rows, or one that the model does not have.
func (e *emitter) checkLabels(labels, rows jen.Code) jen.Code {
	check := "CheckLabels"
	if e.spec.Labels.Drop > 0 {
		check = "CheckLabelsOrNone"
	}
	return jen.Qual(e.modelPkg(), check).Call(labels, rows, jen.Id("labelCount"))
}

// labelFaults are the checks of the labels of a batch, none where the model has none.
func (e *emitter) labelFaults(labels, rows jen.Code) []jen.Code {
	if !e.conditional() {
		return nil
	}
	return []jen.Code{e.checkLabels(labels, rows)}
}
