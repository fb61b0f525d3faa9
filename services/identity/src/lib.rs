//! Identity: who users are.

pub mod password;
