//! Errors for people and for machines, and the exit code they lead to.

use crate::screen::Screen;
use cupola_task::{Exit, Fault};
use std::process::ExitCode;

/// Prints an error and gives its exit code.
pub fn report(error: &anyhow::Error, screen: &Screen) -> ExitCode {
    let (exit, hint) = judge(error);
    screen.error(&format!("{error:#}"), hint.as_deref(), exit);
    ExitCode::from(exit as u8)
}

/// The exit code and hint of the first fault in the chain that knows them.
fn judge(error: &anyhow::Error) -> (Exit, Option<String>) {
    for cause in error.chain() {
        let fault: Option<&dyn Fault> = None
            .or_else(|| cause.downcast_ref::<cupola_train::Error>().map(|fault| fault as &dyn Fault))
            .or_else(|| cause.downcast_ref::<cupola_serve::Error>().map(|fault| fault as &dyn Fault))
            .or_else(|| cause.downcast_ref::<cupola_data::Error>().map(|fault| fault as &dyn Fault))
            .or_else(|| cause.downcast_ref::<cupola_task::Error>().map(|fault| fault as &dyn Fault));
        if let Some(fault) = fault {
            return (fault.exit(), fault.hint());
        }
    }
    (Exit::Failure, None)
}
