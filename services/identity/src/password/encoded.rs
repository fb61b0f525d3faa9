//! Django's encoded passwords (`django.contrib.auth.hashers`), read and tried.

use std::num::NonZeroU32;

use argon2::Argon2;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, pbkdf2};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// What a password in the table may cost to try. Rows come from elsewhere: one
/// that asks for hours or gigabytes is refused, not tried.
const PBKDF2_ITERATIONS_MAX: u32 = 10_000_000;
const ARGON2_KIBIBYTES_MAX: u32 = 1 << 20;
const ARGON2_PASSES_MAX: u32 = 64;
const ARGON2_LANES_MAX: u32 = 64;
const SCRYPT_BYTES_MAX: u64 = 256 << 20;
const SCRYPT_PARALLELISM_MAX: u32 = 32;
const BCRYPT_COST_MAX: u32 = 18;
/// Django's column has 128 characters.
const ENCODED_BYTES_MAX: usize = 512;

/// argon2 writes its parts without padding, the others with.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A password as the table has it.
#[derive(Clone)]
pub enum Encoded {
    /// `pbkdf2_sha256$ITERATIONS$SALT$HASH`, and the same with `sha1`.
    Pbkdf2 {
        /// Which digest.
        digest: Digest,
        /// How often.
        iterations: NonZeroU32,
        /// Django's salts are text, used as its bytes.
        salt: String,
        /// What must come out.
        hash: Vec<u8>,
    },
    /// `argon2$argon2id$v=19$m=102400,t=2,p=8$SALT$HASH`.
    Argon2 {
        /// The function with its costs.
        function: Box<Argon2<'static>>,
        /// The salt.
        salt: Vec<u8>,
        /// What must come out.
        hash: Vec<u8>,
    },
    /// `bcrypt$$2b$12$...`, and `bcrypt_sha256`, which hashes first.
    Bcrypt {
        /// Whether the password's SHA-256 in hexadecimal is what is hashed.
        prehashed: bool,
        /// In bcrypt's own form.
        hash: String,
    },
    /// `scrypt$N$SALT$R$P$HASH`.
    Scrypt {
        /// The costs.
        params: scrypt::Params,
        /// The salt.
        salt: String,
        /// What must come out.
        hash: Vec<u8>,
    },
    /// `!` and anything: Django's mark of an account without a password.
    Unusable,
}

/// Which digest PBKDF2 stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Digest {
    fn algorithm(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        }
    }
}

/// An encoded password that is none that we read. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// Another algorithm, such as `md5`.
    #[error("the algorithm is not one of Django's that are read here")]
    Algorithm,
    /// Known, but not in its form.
    #[error("it does not have the form of its algorithm")]
    Form,
    /// Beyond what we spend on one password.
    #[error("it would cost more than one password may")]
    Cost,
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.algorithm())
    }
}

impl Encoded {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, EncodingError> {
        if text.starts_with('!') {
            return Ok(Self::Unusable);
        }
        if text.len() > ENCODED_BYTES_MAX {
            return Err(EncodingError::Form);
        }
        let (algorithm, rest) = text.split_once('$').ok_or(EncodingError::Algorithm)?;
        match algorithm {
            "pbkdf2_sha256" => pbkdf2(Digest::Sha256, rest),
            "pbkdf2_sha1" => pbkdf2(Digest::Sha1, rest),
            "argon2" => argon2(rest),
            "bcrypt" => bcrypt(false, rest),
            "bcrypt_sha256" => bcrypt(true, rest),
            "scrypt" => scrypt(rest),
            _ => Err(EncodingError::Algorithm),
        }
    }

    /// Its algorithm, by Django's name.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Pbkdf2 {
                digest: Digest::Sha1,
                ..
            } => "pbkdf2_sha1",
            Self::Pbkdf2 {
                digest: Digest::Sha256,
                ..
            } => "pbkdf2_sha256",
            Self::Argon2 { .. } => "argon2",
            Self::Bcrypt {
                prehashed: false, ..
            } => "bcrypt",
            Self::Bcrypt {
                prehashed: true, ..
            } => "bcrypt_sha256",
            Self::Scrypt { .. } => "scrypt",
            Self::Unusable => "unusable",
        }
    }

    /// Whether this is the password. It costs what it costs, up to seconds:
    /// not on a thread that others wait for.
    pub fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Pbkdf2 {
                digest,
                iterations,
                salt,
                hash,
            } => {
                let algorithm = digest.algorithm();
                pbkdf2::verify(algorithm, *iterations, salt.as_bytes(), password, hash).is_ok()
            }
            Self::Argon2 {
                function,
                salt,
                hash,
            } => {
                let mut found = vec![0; hash.len()];
                let done = function.hash_password_into(password, salt, &mut found);
                done.is_ok() && verify_slices_are_equal(&found, hash).is_ok()
            }
            Self::Bcrypt {
                prehashed: false,
                hash,
            } => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Bcrypt {
                prehashed: true,
                hash,
            } => {
                let prehash = hex::encode(digest::digest(&digest::SHA256, password));
                bcrypt::verify(prehash, hash).unwrap_or(false)
            }
            Self::Scrypt { params, salt, hash } => {
                let mut found = vec![0; hash.len()];
                let done = scrypt::scrypt(password, salt.as_bytes(), params, &mut found);
                done.is_ok() && verify_slices_are_equal(&found, hash).is_ok()
            }
            Self::Unusable => false,
        }
    }

    /// Whether we would write it as it is now.
    pub fn is_current(&self, current: NonZeroU32) -> bool {
        matches!(self, Self::Pbkdf2 { digest: Digest::Sha256, iterations, .. } if *iterations == current)
    }
}

/// A new password as the table has it. It costs as much as trying it.
pub(super) fn encode(password: &[u8], iterations: NonZeroU32, salt: [u8; 16]) -> String {
    let salt = hex::encode(salt);
    let mut hash = [0; 32];
    let algorithm = Digest::Sha256.algorithm();
    pbkdf2::derive(algorithm, iterations, salt.as_bytes(), password, &mut hash);
    format!("pbkdf2_sha256${iterations}${salt}${}", BASE64.encode(hash))
}

fn pbkdf2(digest: Digest, text: &str) -> Result<Encoded, EncodingError> {
    let [iterations, salt, hash] = parts(text)?;
    let iterations: NonZeroU32 = iterations.parse().map_err(|_| EncodingError::Form)?;
    if iterations.get() > PBKDF2_ITERATIONS_MAX {
        return Err(EncodingError::Cost);
    }
    let hash = decoded(hash)?;
    let salt = salt.to_owned();
    Ok(Encoded::Pbkdf2 {
        digest,
        iterations,
        salt,
        hash,
    })
}

fn argon2(text: &str) -> Result<Encoded, EncodingError> {
    // Before version 19 (0x13) none was written.
    let (kind, version, costs, salt, hash) = match text.split('$').collect::<Vec<_>>()[..] {
        [kind, version, costs, salt, hash] => (kind, version, costs, salt, hash),
        [kind, costs, salt, hash] => (kind, "v=16", costs, salt, hash),
        _ => return Err(EncodingError::Form),
    };
    let kind = argon2::Algorithm::new(kind).map_err(|_| EncodingError::Form)?;
    let version = match version {
        "v=16" => argon2::Version::V0x10,
        "v=19" => argon2::Version::V0x13,
        _ => return Err(EncodingError::Form),
    };
    let costs: Vec<_> = costs.split(',').collect();
    let [memory, passes, lanes] = costs[..] else {
        return Err(EncodingError::Form);
    };
    let cost = |text: &str, name: &str, most: u32| {
        let text = text.strip_prefix(name).ok_or(EncodingError::Form)?;
        let cost: u32 = text.parse().map_err(|_| EncodingError::Form)?;
        if cost > most {
            Err(EncodingError::Cost)
        } else {
            Ok(cost)
        }
    };
    let memory = cost(memory, "m=", ARGON2_KIBIBYTES_MAX)?;
    let passes = cost(passes, "t=", ARGON2_PASSES_MAX)?;
    let lanes = cost(lanes, "p=", ARGON2_LANES_MAX)?;
    let hash = decoded(hash)?;
    let params = argon2::Params::new(memory, passes, lanes, Some(hash.len()));
    let function = Argon2::new(kind, version, params.map_err(|_| EncodingError::Form)?);
    let (function, salt) = (Box::new(function), decoded(salt)?);
    Ok(Encoded::Argon2 {
        function,
        salt,
        hash,
    })
}

fn bcrypt(prehashed: bool, hash: &str) -> Result<Encoded, EncodingError> {
    let known: bcrypt::HashParts = hash.parse().map_err(|_| EncodingError::Form)?;
    if known.get_cost() > BCRYPT_COST_MAX {
        return Err(EncodingError::Cost);
    }
    let hash = hash.to_owned();
    Ok(Encoded::Bcrypt { prehashed, hash })
}

fn scrypt(text: &str) -> Result<Encoded, EncodingError> {
    let [n, salt, r, p, hash] = parts(text)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| EncodingError::Form);
    let (n, r, p) = (number(n)?, number(r)?, number(p)?);
    if !n.is_power_of_two() || n < 2 {
        return Err(EncodingError::Form);
    }
    let bytes = u64::from(n)
        .saturating_mul(u64::from(r))
        .saturating_mul(128);
    if bytes > SCRYPT_BYTES_MAX || p > SCRYPT_PARALLELISM_MAX {
        return Err(EncodingError::Cost);
    }
    let log_n = u8::try_from(n.ilog2()).map_err(|_| EncodingError::Form)?;
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| EncodingError::Form)?;
    let (salt, hash) = (salt.to_owned(), decoded(hash)?);
    Ok(Encoded::Scrypt { params, salt, hash })
}

fn parts<const COUNT: usize>(text: &str) -> Result<[&str; COUNT], EncodingError> {
    let parts: Vec<_> = text.split('$').collect();
    parts.try_into().map_err(|_| EncodingError::Form)
}

/// An empty hash would be matched by every password.
fn decoded(text: &str) -> Result<Vec<u8>, EncodingError> {
    let bytes = BASE64.decode(text).map_err(|_| EncodingError::Form)?;
    if bytes.len() < 8 {
        Err(EncodingError::Form)
    } else {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ITERATIONS: NonZeroU32 = NonZeroU32::new(10).unwrap();

    #[test]
    fn what_costs_too_much_is_not_tried() {
        for text in [
            "pbkdf2_sha256$10000001$salt$aGFzaGhhc2g=",
            "argon2$argon2id$v=19$m=1048577,t=2,p=8$c2FsdHNhbHQ$aGFzaGhhc2g",
            "argon2$argon2id$v=19$m=102400,t=65,p=8$c2FsdHNhbHQ$aGFzaGhhc2g",
            "scrypt$2097152$salt$8$1$aGFzaGhhc2g=",
            "scrypt$16384$salt$8$33$aGFzaGhhc2g=",
            "bcrypt$$2b$19$tDbkvK5hdXZ8TXCYvvdhoOC/k3D5tUNkVh2fjJHpVw8oDsPpAhSlG",
        ] {
            assert_eq!(
                Encoded::parse(text).err(),
                Some(EncodingError::Cost),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_none_of_ours_is_refused() {
        for text in [
            "",
            "md5$salt$hash",
            "sha1$salt$hash",
            "plain",
            "$",
            "argon2id$x",
        ] {
            assert_eq!(
                Encoded::parse(text).err(),
                Some(EncodingError::Algorithm),
                "{text}"
            );
        }
        for text in [
            "pbkdf2_sha256$0$salt$aGFzaGhhc2g=",
            "pbkdf2_sha256$1$salt$",
            "pbkdf2_sha256$1$salt$aGFzaGhhc2g=$",
            "argon2$argon2id$v=19$m=1,t=2,p=8$c2FsdHNhbHQ$aGFzaGhhc2g",
            "argon2$argon2z$v=19$m=102400,t=2,p=8$c2FsdHNhbHQ$aGFzaGhhc2g",
            "scrypt$3$salt$8$1$aGFzaGhhc2g=",
            "scrypt$16384$salt$0$1$aGFzaGhhc2g=",
            "bcrypt$$2b$12$short",
        ] {
            assert_eq!(
                Encoded::parse(text).err(),
                Some(EncodingError::Form),
                "{text}"
            );
        }
        for text in ["!", "!x", "!pbkdf2_sha256$1$salt$aGFzaGhhc2g="] {
            let unusable = Encoded::parse(text).unwrap();
            assert!(!unusable.matches(b"") && !unusable.matches(text.as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(pbkdf2_sha1|argon2|scrypt|bcrypt|bcrypt_sha256|\\PC*)\\$\\PC*") {
            let _ = Encoded::parse(&text);
        }

        #[test]
        fn parts_in_any_place_do_not_panic(
            name in "argon2|scrypt|pbkdf2_sha256",
            parts in prop::collection::vec("[0-9]{0,3}|v=19|m=8,t=1,p=1|argon2id|[A-Za-z]{12,16}", 0..6),
        ) {
            if let Ok(encoded) = Encoded::parse(&format!("{name}${}", parts.join("$"))) {
                encoded.matches(b"x");
            }
        }

        #[test]
        fn what_is_written_is_read(password: Vec<u8>, other: Vec<u8>, salt: [u8; 16]) {
            let encoded = Encoded::parse(&encode(&password, ITERATIONS, salt)).unwrap();
            prop_assert!(encoded.is_current(ITERATIONS));
            prop_assert!(encoded.matches(&password));
            // HMAC pads keys with zeros.
            let padded = |text: &[u8]| text.last() != Some(&0);
            if other != password && padded(&other) && padded(&password) {
                prop_assert!(!encoded.matches(&other));
            }
        }
    }
}
