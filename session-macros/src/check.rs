//! The rules that no single word can break: one function a rule.

use crate::ast::Session;
use crate::ctxt::Ctxt;

pub(crate) fn check(ctxt: &Ctxt, session: &Session<'_>) {
    let _ = (ctxt, session);
}
