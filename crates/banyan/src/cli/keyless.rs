//! What is said where requests do not tell whose they are, so that no share covers them.

use conductor::status::KeyStatus;

/// Nothing where every read carried its client's key.
pub(super) fn text(keys: &KeyStatus) -> Option<String> {
    let KeyStatus { key, with, without } = keys;
    let Some(key) = key else {
        return Some(
            "The plan has no `rollout.key`: whose a request is nobody knows, so all reads go to \
             the owner"
                .to_owned(),
        );
    };
    let all = with + without;
    match (*with, *without) {
        (_, 0) => None,
        (0, _) => Some(format!(
            "None of {all} reads since `banyan serve` began carried {key} (`rollout.key`): they all \
             go to the owner, whatever the share"
        )),
        (_, without) => Some(format!(
            "{without} of {all} reads since `banyan serve` began did not carry {key} \
             (`rollout.key`): such reads go to the owner, whatever the share"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_without_a_key_are_told() {
        let told = |key: Option<&str>, with, without| {
            text(&KeyStatus {
                key: key.map(str::to_owned),
                with,
                without,
            })
        };
        let key = Some("the header `x-user-id`");
        assert_eq!(told(key, 9, 0), None);
        assert_eq!(told(key, 0, 0), None);
        let none = told(key, 0, 7).unwrap();
        assert!(none.starts_with("None of 7 reads"), "{none}");
        let some = told(key, 3, 1).unwrap();
        assert!(
            some.starts_with("1 of 4 reads") && some.contains("`x-user-id`"),
            "{some}"
        );
        assert!(told(None, 0, 0).unwrap().contains("no `rollout.key`"));
    }
}
