//! How paths are changed on their way to an upstream.

/// How a path is changed on its way: first what matched is taken away, then
/// the prefix is put in front.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// Whether the part of the path that the pattern spells out goes.
    pub strip: bool,
    /// What is put in front; empty, or `/x` without a slash at its end.
    pub prefix: String,
}

impl Rewrite {
    /// Whether it changes anything.
    pub fn is_identity(&self) -> bool {
        !self.strip && self.prefix.is_empty()
    }

    /// The path for the upstream. `stripped` is what the route spells out
    /// ([`PathPattern::literal_prefix`](crate::PathPattern::literal_prefix)).
    pub fn apply(&self, stripped: &str, path: &str) -> String {
        let rest = if self.strip {
            match path.strip_prefix(stripped) {
                Some(rest) => rest,
                // `/x` is another spelling of `/x/`.
                None if stripped.strip_suffix('/') == Some(path) => "",
                None => path,
            }
        } else {
            path
        };
        // `/api/v1/` + `/x` is `/api/v1/x`: the slash between them is one.
        let prefix = self.prefix.trim_end_matches('/');
        match rest {
            "" if self.prefix.is_empty() => "/".to_owned(),
            "" => self.prefix.clone(),
            _ if rest.starts_with('/') => format!("{prefix}{rest}"),
            _ => format!("{prefix}/{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_stripped_and_prefixed() {
        let rewrite = |strip, prefix: &str, path| {
            Rewrite {
                strip,
                prefix: prefix.to_owned(),
            }
            .apply("/api/auth", path)
        };
        assert_eq!(rewrite(true, "/v1/auth/", "/api/auth"), "/v1/auth/");
        assert_eq!(
            rewrite(true, "/v1/auth/", "/api/auth/login"),
            "/v1/auth/login"
        );
        assert_eq!(rewrite(true, "", "/api/auth"), "/");
        assert_eq!(rewrite(true, "", "/api/auth/x"), "/x");
        assert_eq!(rewrite(false, "/v1", "/api/auth/x"), "/v1/api/auth/x");
        assert!(Rewrite::default().is_identity());
    }
}
