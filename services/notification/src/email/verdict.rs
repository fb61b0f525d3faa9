//! What a failure of the mail server means. Pure.

use kit::outbox::DeliveryError;

/// About us rather than about the mail: our name, password or encryption is not
/// what the server wants (RFC 4954, 3207). Somebody will set it right.
const ABOUT_US: [u16; 5] = [454, 530, 534, 535, 538];

/// A permanent refusal of the mail is never tried again; all else may be better
/// later. What the server said is kept with the delivery.
pub fn of(error: &lettre::transport::smtp::Error) -> DeliveryError {
    let said = said(error);
    match error.status() {
        Some(code) if is_for_good(code.into()) => DeliveryError::Permanent(said),
        _ => DeliveryError::Transient(said),
    }
}

fn is_for_good(code: u16) -> bool {
    (500..600).contains(&code) && !ABOUT_US.contains(&code)
}

/// With its cause, which has what the server or the system said.
fn said(error: &lettre::transport::smtp::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_the_mail_is_for_good() {
        for code in [550, 551, 552, 553, 554, 500, 501] {
            assert!(is_for_good(code), "{code}");
        }
        for code in [421, 450, 451, 452, 454, 530, 534, 535, 538] {
            assert!(!is_for_good(code), "{code}");
        }
    }
}
