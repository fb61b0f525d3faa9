//! What is said of one flag.

use plan::FlagChoice;
use protocol::Side;
use std::collections::HashMap;

/// What is said of one flag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FlagSettings {
    pub(super) everybody: Option<Side>,
    pub(super) users: HashMap<Box<[u8]>, Side>,
}

impl FlagSettings {
    pub(crate) fn of(flag: &plan::Flag) -> Self {
        let users = flag.users.iter();
        Self {
            everybody: flag.everybody.map(side),
            users: users
                .map(|(user, choice)| (user.as_bytes().into(), side(*choice)))
                .collect(),
        }
    }
}

pub(crate) fn side(choice: FlagChoice) -> Side {
    match choice {
        FlagChoice::Always => Side::Service,
        FlagChoice::Never => Side::Monolith,
    }
}
