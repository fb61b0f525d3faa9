//! Signed documents: JSON with an Ed25519 signature over its content, which is made the
//! same everywhere by sorting keys.

use crate::exit::Failure;
use aws_lc_rs::{
    digest::{Context, SHA256},
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The key, in the state directory.
const KEY: &str = "signing.key";

/// The most that a signed document has.
const DOCUMENT_BYTES_MAX: u64 = 16 << 20;

/// A document and who has signed it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(in crate::cli) struct Signed {
    /// What was signed.
    pub(super) content: Value,
    /// In hexadecimal.
    pub(super) public_key: String,
    /// Of the content without spaces, keys sorted; in hexadecimal.
    pub(super) signature: String,
}

/// The key of a state directory.
pub(super) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// It; made where it is not there yet.
    pub(super) fn of(state: &Path) -> Result<Self, Failure> {
        let file = state.join(KEY);
        let unusable = |why: &dyn std::fmt::Display| {
            Failure::Refused(format!("the key {} cannot be used: {why}", file.display()))
        };
        if !file.exists() {
            let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
            let made = made.map_err(|error| unusable(&error))?;
            // Whole or not at all, and for nobody else to read.
            let new = state.join(format!("{KEY}.new-{}", uuid::Uuid::new_v4()));
            let mut out = OpenOptions::new();
            let out = out.write(true).create_new(true).mode(0o600).open(&new);
            let written = out.and_then(|mut out| {
                out.write_all(made.as_ref())?;
                out.sync_all()?;
                // Another one may have made it meanwhile: the first stays.
                match fs::hard_link(&new, &file) {
                    Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
                    _ => fs::remove_file(&new),
                }
            });
            written.map_err(|error| unusable(&error))?;
        }
        let bytes = fs::read(&file).map_err(|error| unusable(&error))?;
        let key = Ed25519KeyPair::from_pkcs8(&bytes).map_err(|error| unusable(&error))?;
        Ok(Self(key))
    }

    /// A document that this key has signed; another's says nothing of what was seen here.
    pub(super) fn own(&self, file: &Path) -> Result<Signed, Failure> {
        let signed = read(file)?;
        if signed.public_key == hex::encode(self.0.public_key().as_ref()) {
            return Ok(signed);
        }
        Err(Failure::Refused(format!(
            "{} was signed by another key than this state directory's. Name another directory with \
             --to",
            file.display()
        )))
    }

    /// Writes a document down with its signature: whole, or not at all.
    pub(super) fn sign(&self, file: &Path, content: &impl Serialize) -> Result<(), Failure> {
        let content = serde_json::to_value(content).map_err(Failure::not_done)?;
        let signature = self.0.sign(canonical(&content).as_bytes());
        let signed = Signed {
            public_key: hex::encode(self.0.public_key().as_ref()),
            signature: hex::encode(signature.as_ref()),
            content,
        };
        let text = serde_json::to_string_pretty(&signed).map_err(Failure::not_done)? + "\n";
        let new = file.with_extension("json.new");
        let written = fs::File::create(&new).and_then(|mut out| {
            out.write_all(text.as_bytes())?;
            out.sync_all()?;
            fs::rename(&new, file)
        });
        written.map_err(|error| {
            Failure::NotDone(format!("{} cannot be written: {error}", file.display()))
        })
    }
}

/// A signed document; refused where it is not what was signed.
pub(super) fn read(file: &Path) -> Result<Signed, Failure> {
    let name = file.display();
    let wrong = |why: String| Failure::Refused(format!("{name} {why}"));
    let mut text = String::new();
    let opened = fs::File::open(file);
    let read = opened.and_then(|file| file.take(DOCUMENT_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let signed: Signed = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("is no signed document: {error}")))?;
    let (Ok(key), Ok(signature)) = (
        hex::decode(&signed.public_key),
        hex::decode(&signed.signature),
    ) else {
        return Err(wrong("has a signature that is none".to_owned()));
    };
    UnparsedPublicKey::new(&ED25519, key)
        .verify(canonical(&signed.content).as_bytes(), &signature)
        .map_err(|_| wrong("is not what was signed: it was changed since".to_owned()))?;
    Ok(signed)
}

/// JSON with sorted keys and no spaces.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| key.as_str());
            let pair = |(key, value): &(&String, &Value)| {
                format!("{}:{}", Value::from(key.as_str()), canonical(value))
            };
            let pairs: Vec<_> = pairs.iter().map(pair).collect();
            format!("{{{}}}", pairs.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        one => one.to_string(),
    }
}

/// In hexadecimal.
pub(super) fn sha256_of_file(file: &Path) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::Refused(format!("{} cannot be read: {error}", file.display()))
    };
    let mut input = fs::File::open(file).map_err(unreadable)?;
    let (mut context, mut buffer) = (Context::new(&SHA256), vec![0; 1 << 16]);
    loop {
        let count = input.read(&mut buffer).map_err(unreadable)?;
        if count == 0 {
            return Ok(hex::encode(context.finish()));
        }
        context.update(&buffer[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_signed_is_known_again_and_nothing_else() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("certificate.json");
        let content = json!({ "b": [1, { "d": "x", "c": null }], "a": 2.5 });
        let key = SigningKey::of(state.path()).unwrap();
        key.sign(&file, &content).unwrap();
        let signed = read(&file).unwrap();
        assert_eq!(signed.content, content);
        assert_eq!(
            canonical(&content),
            r#"{"a":2.5,"b":[1,{"c":null,"d":"x"}]}"#
        );
        // The same key the next time.
        let other = state.path().join("archive.json");
        SigningKey::of(state.path())
            .unwrap()
            .sign(&other, &content)
            .unwrap();
        assert_eq!(read(&other).unwrap().public_key, signed.public_key);
        assert!(key.own(&file).is_ok());
        let elsewhere = tempfile::tempdir().unwrap();
        let others = SigningKey::of(elsewhere.path()).unwrap().own(&file);
        assert!(others.unwrap_err().to_string().contains("another key"));
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("2.5", "2.6")).unwrap();
        let changed = read(&file).unwrap_err().to_string();
        assert!(changed.contains("changed since"), "{changed}");
        // Spaces and the order of keys are not content.
        let packed = serde_json::to_string(&json!({ "signature": signed.signature,
            "public_key": signed.public_key, "content": content }));
        fs::write(&file, packed.unwrap()).unwrap();
        assert!(read(&file).is_ok());
        fs::write(&file, "{}").unwrap();
        assert!(read(&file).is_err());
    }
}
