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

// checkLabels panics when there are not as many labels as rows, or one that the model does not have.
func (e *emitter) checkLabels(labels, rows jen.Code) jen.Code {
	if !e.conditional() {
		return jen.Null()
	}
	return jen.Qual(e.modelPkg(), "CheckLabels").Call(labels, rows, jen.Id("labelCount"))
}
