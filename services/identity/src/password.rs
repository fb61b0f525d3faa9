//! Passwords: how they are kept, what they cost, and which ones are taken.
//!
//! They are kept as Django keeps them, so that `auth_user` can move here and
//! back. New ones are `pbkdf2_sha256` with the iterations of the Django beside
//! us: it is Django's default, needs no package that the monolith may lack, and
//! with equal iterations Django does not write it anew at the next login.

mod encoded;
mod hasher;
mod rules;

pub use encoded::{Digest, Encoded, EncodingError};
pub use hasher::{Hasher, HasherSettings};
pub use rules::{PASSWORD_BYTES_MAX, Password, weakness};
