//! How the program ends: exit codes and error messages.

use crate::lines;
use std::{fmt, process::ExitCode};

/// How a command failed. The exit code is part of the interface:
/// 0 done, 1 tried and not done, 2 refused before anything was touched.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Exit code 1.
    NotDone(String),
    /// Exit code 2.
    Refused(String),
    /// Exit code 1 or 2, and the output says everything already.
    Reported(u8),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDone(text) | Self::Refused(text) => f.write_str(text),
            Self::Reported(code) => write!(f, "exit code {code}"),
        }
    }
}

impl Failure {
    pub(crate) fn refused(error: impl fmt::Display) -> Self {
        Self::Refused(error.to_string())
    }

    pub(crate) fn not_done(error: impl fmt::Display) -> Self {
        Self::NotDone(error.to_string())
    }
}

/// Prints what is to be said, and gives the exit code. `to_a_log`: it is not read on a
/// screen, so that lines stay as they are.
pub(crate) fn report(ended: Result<(), Failure>, to_a_log: bool) -> ExitCode {
    let tell = |text: &str| {
        if to_a_log {
            eprintln!("error: {text}");
        } else {
            eprintln!("{}", lines::error(text));
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::NotDone(text)) => {
            tell(&text);
            ExitCode::from(1)
        }
        Err(Failure::Refused(text)) => {
            tell(&text);
            ExitCode::from(2)
        }
        Err(Failure::Reported(code)) => ExitCode::from(code),
    }
}
