//! What a client shows of itself, and the keys that prove it.

use crate::{access, routing::write_token::Signer};
use plan::{ExtractionName, Secret};

/// No token is believed that its key has not signed, and none that asks for
/// another algorithm. As it comes, and as a signer would write these lines.
pub fn token(bytes: &[u8]) {
    access::replay::token(bytes);
    let (Ok(secret), Ok(extraction)) = (Secret::new("of the gateways"), ExtractionName::new("x"))
    else {
        return;
    };
    let signer = Signer::new(&secret, extraction);
    if let Some(read) = signer.read(bytes) {
        assert_eq!(signer.sign(read).as_bytes(), bytes);
    }
}

/// A key set is read or refused, and none has a secret in it.
pub fn keys(bytes: &[u8]) {
    access::replay::keys(bytes);
}
