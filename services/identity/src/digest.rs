//! Secrets that we hand out, and what is kept of them.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kit::Problem;

const TOKEN_BYTES: usize = 32;

/// Longer ones are none of ours.
const TOKEN_CHARACTERS_MAX: usize = 64;

/// A new token. As long as a key, so that a plain digest of it is enough.
pub(crate) fn random_token() -> Result<String, Problem> {
    let mut bytes = [0; TOKEN_BYTES];
    rand::fill(&mut bytes).map_err(|_| {
        tracing::error!("the system gives no random bytes");
        Problem::internal()
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a token, or of anything that is only compared.
pub(crate) fn kept(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// Whether it can be one of ours at all.
pub(crate) fn is_plausible(token: &str) -> bool {
    (1..=TOKEN_CHARACTERS_MAX).contains(&token.len())
}
