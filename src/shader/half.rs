//! Floats that are stored in f16, without a word of it in a shader: every load of such a binding becomes f32, and what is
//! stored there f16. The kernel computes in f32, as it does on bindings of f32.

use crate::kernel::{Binding, Content};
use crate::tensor::ElementType;
use wesl::syntax::{
    AssignmentOperator, CompoundStatement, Expression, ExpressionNode, FunctionCall, GlobalDeclaration, Ident,
    Statement, TranslationUnit, TypeExpression,
};

/// What a text that names f16 begins with.
pub(super) const ENABLE: &str = "enable f16;\n";

/// Converts what a joined text loads from those of its bindings that are stored in f16, and what it stores there.
pub(super) fn convert(unit: &mut TranslationUnit, bindings: impl Iterator<Item = Binding>) {
    let lanes = |binding: Binding| match binding.content {
        Content::Buffer { element: ElementType::F16, lanes } => Some((binding.name, lanes)),
        _ => None,
    };
    let halves: Vec<(&str, usize)> = bindings.filter_map(lanes).collect();
    let mut variables = Vec::new();
    for declaration in &unit.global_declarations {
        if let GlobalDeclaration::Declaration(declaration) = &**declaration
            && let Some(&(_, lanes)) = halves.iter().find(|(name, _)| *declaration.ident.name() == *name)
        {
            variables.push(Variable { ident: declaration.ident.clone(), lanes });
        }
    }
    let converter = Converter(variables);
    for declaration in &mut unit.global_declarations {
        if let GlobalDeclaration::Function(function) = &mut **declaration {
            converter.body(&mut function.body);
        }
    }
}

/// An array of f16, `lanes` of them in each element.
struct Variable {
    /// All that mean the variable share it: a local one of the same name does not.
    ident: Ident,
    lanes: usize,
}

struct Converter(Vec<Variable>);

impl Converter {
    fn body(&self, body: &mut CompoundStatement) {
        body.statements.iter_mut().for_each(|statement| self.statement(statement));
    }

    fn statement(&self, statement: &mut Statement) {
        match statement {
            Statement::Compound(body) => self.body(body),
            Statement::Assignment(assignment) => {
                self.loads(&mut assignment.rhs);
                match self.lanes(&assignment.lhs) {
                    // Of another operator the compiler says that it has numbers of two types.
                    Some(lanes) if assignment.operator == AssignmentOperator::Equal => {
                        self.indices(&mut assignment.lhs);
                        call(half(lanes), &mut assignment.rhs);
                    }
                    Some(_) => {}
                    None => self.loads(&mut assignment.lhs),
                }
            }
            Statement::Increment(increment) => self.loads(&mut increment.expression),
            Statement::Decrement(decrement) => self.loads(&mut decrement.expression),
            Statement::If(branches) => {
                self.loads(&mut branches.if_clause.expression);
                self.body(&mut branches.if_clause.body);
                for clause in &mut branches.else_if_clauses {
                    self.loads(&mut clause.expression);
                    self.body(&mut clause.body);
                }
                branches.else_clause.iter_mut().for_each(|clause| self.body(&mut clause.body));
            }
            Statement::Switch(switch) => {
                self.loads(&mut switch.expression);
                switch.clauses.iter_mut().for_each(|clause| self.body(&mut clause.body));
            }
            Statement::Loop(repeated) => {
                self.body(&mut repeated.body);
                if let Some(continuing) = &mut repeated.continuing {
                    self.body(&mut continuing.body);
                    continuing.break_if.iter_mut().for_each(|end| self.loads(&mut end.expression));
                }
            }
            Statement::For(repeated) => {
                repeated.initializer.iter_mut().for_each(|first| self.statement(first));
                repeated.condition.iter_mut().for_each(|condition| self.loads(condition));
                repeated.update.iter_mut().for_each(|next| self.statement(next));
                self.body(&mut repeated.body);
            }
            Statement::While(repeated) => {
                self.loads(&mut repeated.condition);
                self.body(&mut repeated.body);
            }
            Statement::Return(end) => end.expression.iter_mut().for_each(|value| self.loads(value)),
            Statement::FunctionCall(called) => {
                called.call.arguments.iter_mut().for_each(|argument| self.loads(argument));
            }
            Statement::Declaration(declaration) => {
                declaration.initializer.iter_mut().for_each(|value| self.loads(value));
            }
            Statement::Void
            | Statement::Break(_)
            | Statement::Continue(_)
            | Statement::Discard(_)
            | Statement::ConstAssert(_) => {}
        }
    }

    /// Makes f32 of every load within an expression.
    fn loads(&self, expression: &mut ExpressionNode) {
        if let Some(lanes) = self.lanes(expression) {
            self.indices(expression);
            call(full(lanes), expression);
            return;
        }
        match &mut **expression {
            Expression::Parenthesized(inner) => self.loads(&mut inner.expression),
            Expression::NamedComponent(component) => self.loads(&mut component.base),
            Expression::Indexing(indexing) => {
                self.loads(&mut indexing.base);
                self.loads(&mut indexing.index);
            }
            Expression::Unary(unary) => self.loads(&mut unary.operand),
            Expression::Binary(binary) => {
                self.loads(&mut binary.left);
                self.loads(&mut binary.right);
            }
            Expression::FunctionCall(called) => {
                called.arguments.iter_mut().for_each(|argument| self.loads(argument));
            }
            Expression::Literal(_) | Expression::TypeOrIdentifier(_) => {}
        }
    }

    /// Converts within the indices of an element.
    fn indices(&self, element: &mut ExpressionNode) {
        if let Expression::Indexing(indexing) = &mut **element {
            self.loads(&mut indexing.index);
            self.indices(&mut indexing.base);
        }
    }

    /// Numbers in what an expression means, where that is an element of a variable or one number of it.
    fn lanes(&self, expression: &Expression) -> Option<usize> {
        let Expression::Indexing(indexing) = expression else { return None };
        match &*indexing.base {
            Expression::TypeOrIdentifier(name) => {
                self.0.iter().find(|variable| variable.ident == name.ident).map(|variable| variable.lanes)
            }
            base => self.lanes(base).map(|_| 1),
        }
    }
}

fn full(lanes: usize) -> String {
    if lanes == 1 { "f32".to_owned() } else { format!("vec{lanes}f") }
}

fn half(lanes: usize) -> String {
    if lanes == 1 { "f16".to_owned() } else { format!("vec{lanes}h") }
}

/// `function(expression)` in place of an expression.
fn call(function: String, expression: &mut ExpressionNode) {
    let ty = TypeExpression::new(Ident::new(function));
    // What stands there meanwhile is dropped at once.
    let placeholder = Expression::TypeOrIdentifier(ty.clone()).into();
    let argument = std::mem::replace(expression, placeholder);
    *expression = Expression::FunctionCall(FunctionCall { ty, arguments: vec![argument] }).into();
}

#[cfg(test)]
mod tests {
    use crate::kernel::{Kernel, Shader, read, write};

    const TEXT: &str = "import package::bindings::{x, wide, y};
        fn twice(value: f32) -> f32 { return 2.0 * value; }
        @compute @workgroup_size(1)
        fn main() {
            var sum = twice(x[0]) + wide[u32(x[1])][2];
            for (var i = 0u; i < u32(x[2]); i++) { sum += x[i]; }
            if (x[3] > 0.0) { var x = array<f32, 2>(sum, 1.0); y[u32(x[1])] = x[0]; }
            let four = wide[0];
            y[1] = y[0] + four.x;
        }";

    static SHADER: Shader = Shader::with_text("own/halves", TEXT, &[read("x"), read("wide").vec4(), write("y")]);

    #[test]
    fn what_is_loaded_of_f16_becomes_f32_and_what_is_stored_there_f16() {
        let text = |halves: &[&'static str]| {
            let kernel = Kernel { halves: halves.to_vec(), ..Kernel::new(&SHADER) };
            let text = crate::shader::compile(&kernel).unwrap();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let all = text(&["x", "wide", "y"]);
        for part in [
            "enable f16;",
            "x: array<f16>",
            "wide: array<vec4<f16>>",
            "twice(f32(x[0])) + f32(wide[u32(f32(x[1]))][2])",
            "i < u32(f32(x[2]))",
            "sum += f32(x[i])",
            "f32(x[3]) > 0",
            // The variable in the block is another x.
            "y[u32(x[1])] = f16(x[0])",
            "let four = vec4f(wide[0])",
            "y[1] = f16(f32(y[0]) + four.x)",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
        let (none, some) = (text(&[]), text(&["x"]));
        assert!(!none.contains("f16") && none.contains("y[1] = y[0] + four.x"), "{none}");
        assert!(some.contains("y: array<f32>") && some.contains("sum += f32(x[i])"), "{some}");
    }
}
