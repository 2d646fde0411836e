//! `constant`.

use crate::optim::schedule::Form;

pub(super) static FORM: Form = Form::new("constant", "lr", &[], |_, base_lr, _| base_lr);
