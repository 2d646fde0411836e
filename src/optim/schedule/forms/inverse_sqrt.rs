//! `inverse_sqrt`: as 1 / sqrt(t).

use crate::optim::schedule::Form;

pub(super) static FORM: Form =
    Form::new("inverse_sqrt", "lr / sqrt(1 + t)", &[], |_, base_lr, step| base_lr / (1.0 + step as f64).sqrt());
