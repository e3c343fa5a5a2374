//! Errors for people and for machines, and the exit code they lead to.

use crate::screen::Screen;
use cupola_task::{Exit, Fault};
use std::process::ExitCode;

/// Prints an error and gives its exit code. That nobody reads on (`| head`) is none.
pub fn report(error: &anyhow::Error, screen: &Screen) -> ExitCode {
    let is_pipe = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    if error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(is_pipe)) {
        return ExitCode::SUCCESS;
    }
    let (exit, hint) = judge(error);
    screen.error(&sentence(error), hint.as_deref(), exit);
    ExitCode::from(exit as u8)
}

/// What clap says about the command line: help, or an error for people or machines.
pub fn usage(error: &clap::Error, json: bool) -> ExitCode {
    if !(json && error.use_stderr()) {
        error.exit();
    }
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default().trim_start_matches("error: ").trim_end_matches(':');
    Screen::new(true, true).error(text, Some("cupola --help"), Exit::Usage);
    ExitCode::from(Exit::Usage as u8)
}

/// The chain of causes on one line. A cause that the sentence before it tells already is not told again.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |mut said, cause| {
        let cause = cause.to_string();
        if !said.ends_with(&cause) {
            said.push_str(": ");
            said.push_str(&cause);
        }
        said
    })
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
