//! The identity service; see README.md.

use std::process::ExitCode;

use kit::Program;
use kit::database::Variables;

fn main() -> ExitCode {
    Program::new(
        identity::IDENTITY,
        "Knows who users are: logins, sessions, passwords, roles.",
    )
    .command(
        "migrate",
        "bring the tables up to date and exit",
        |database: Variables| identity::migrate(database),
    )
    .run(identity::assemble)
}
