//! What the gateway can be asked to do on top of what is always measured.

/// A feature that `--with` turns on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Feature {
    /// Every request brings a token of one consumer, which is verified
    Jwt,
    /// Requests are counted by consumer, or by address without `jwt`
    Limits,
}

/// Signed by the secret in [`JWT`]; it expires in 2100, and guards nothing.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJiZW5jaCIsInN1YiI6ImJlbmNoIiwiZXhwIjo0MTAyNDQ0ODAwfQ.GyaCKJBk6gr9Kdj5T1jw5IKpahGctfROa9C6rHa-o5s";

const JWT: &str = r#"  consumers:
    bench: { jwt: [{ key: bench, secret: "a secret of the bench alone, 32 b" }] }
"#;

impl Feature {
    fn name(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Limits => "limits",
        }
    }

    fn policy(self) -> &'static str {
        match self {
            Self::Jwt => "jwt: {}",
            // Never reached: what is refused is not forwarded and costs less.
            Self::Limits => "limits: [{ minute: 1000000000 }]",
        }
    }
}

/// How they are called together.
pub(super) fn names(features: &[Feature]) -> String {
    let names: Vec<_> = features.iter().map(|feature| feature.name()).collect();
    names.join(" and ")
}

/// Lines of the `gateway` section of a plan, indented by two.
pub(super) fn lines(features: &[Feature]) -> String {
    let consumers = if features.contains(&Feature::Jwt) {
        JWT
    } else {
        ""
    };
    let policies: Vec<_> = features.iter().map(|feature| feature.policy()).collect();
    format!("{consumers}  policies: {{ {} }}\n", policies.join(", "))
}

/// What each request says besides its user.
pub(super) fn authorization() -> String {
    format!("Bearer {TOKEN}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_lines_of_a_plan() {
        let limits = lines(&[Feature::Limits]);
        assert_eq!(limits, "  policies: { limits: [{ minute: 1000000000 }] }\n");
        let both = lines(&[Feature::Jwt, Feature::Limits]);
        assert!(both.contains("bench: { jwt: [{ key: bench,"), "{both}");
        assert!(both.ends_with("{ jwt: {}, limits: [{ minute: 1000000000 }] }\n"));
        assert_eq!(names(&[Feature::Jwt, Feature::Limits]), "jwt and limits");
    }
}
