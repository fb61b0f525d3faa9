//! What came of an effect of a hand-over.

use protocol::handover::Input;

/// What came of an effect.
pub(super) struct EffectResult {
    /// The hand-over's next input.
    pub(super) input: Input,
    /// Who was waited for, in words, where that was looked for.
    pub(super) waited_for: Vec<String>,
}

impl From<Input> for EffectResult {
    fn from(input: Input) -> Self {
        Self {
            input,
            waited_for: Vec::new(),
        }
    }
}
