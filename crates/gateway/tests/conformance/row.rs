//! One request, and what becomes of it.

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    /// What the client sends, in the language of [`crate::text`]. A plain
    /// request for `/last` follows it.
    pub sent: &'static str,
    /// The RFC and its section: `9112 3.2`.
    pub rfc: &'static str,
    pub allows: Allows,
    pub answer: Answer,
    /// The requests that the upstream gets, in the language of
    /// [`crate::requests`].
    pub seen: &'static str,
    pub interims: Interims,
    pub reaches: Reaches,
    pub why: &'static str,
    pub choice: Option<Choice>,
}

/// What the RFC lets a server or a gateway do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allows {
    /// It must be refused, or ought to be.
    Refusal,
    /// The request is a good one.
    Passing,
    /// It says that either is right, or leaves it open.
    Either,
    /// It wants something that we do not do, whether we pass it or not.
    Otherwise,
}

impl Allows {
    /// Whether it is what the RFC wants, refused or not.
    pub fn fits(self, is_refused: bool) -> bool {
        match self {
            Self::Refusal => is_refused,
            Self::Passing => !is_refused,
            Self::Either => true,
            Self::Otherwise => false,
        }
    }
}

/// What the client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The upstream's answer; the connection goes on.
    Passes,
    /// The upstream's answer, and the end of the connection.
    PassesLast,
    /// The gateway's own answer; the connection goes on.
    Own(u16),
    /// The gateway's own answer, and the end of the connection.
    Ends(u16),
    /// The gateway's own answer; the request was framed well, so that what comes
    /// next may be answered or not.
    Refuses(u16),
    /// The gateway's 4xx and the end of the connection, or only that: the client
    /// has ended its side within a message.
    Breaks,
}

/// Answers before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interims {
    No,
    One,
    Any,
}

/// What of a refused request an upstream may have got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaches {
    /// Not a byte.
    Nothing,
    /// A part that never becomes a whole request.
    Part,
}

/// Where `docs/gateway.md` says that the gateway differs from the RFC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The heading.
    pub section: &'static str,
    /// Words below it.
    pub says: &'static str,
}

const fn row(name: &'static str, sent: &'static str, rfc: &'static str, why: &'static str) -> Row {
    Row {
        name,
        sent,
        rfc,
        allows: Allows::Refusal,
        answer: Answer::Ends(400),
        seen: "",
        interims: Interims::No,
        reaches: Reaches::Nothing,
        why,
        choice: None,
    }
}

/// A request that the RFC has refused, and we refuse.
pub const fn refused(
    name: &'static str,
    sent: &'static str,
    rfc: &'static str,
    why: &'static str,
) -> Row {
    row(name, sent, rfc, why)
}

/// A good request, of which the upstream gets what `seen` says.
pub const fn passed(
    name: &'static str,
    sent: &'static str,
    rfc: &'static str,
    seen: &'static str,
    why: &'static str,
) -> Row {
    Row {
        allows: Allows::Passing,
        answer: Answer::Passes,
        seen,
        ..row(name, sent, rfc, why)
    }
}

impl Row {
    /// The RFC lets us do either.
    pub const fn either(self) -> Self {
        Self {
            allows: Allows::Either,
            ..self
        }
    }

    /// By the RFC the request is a good one, and we refuse it by choice.
    pub const fn stricter(self, section: &'static str, says: &'static str) -> Self {
        Self {
            allows: Allows::Passing,
            ..self.chosen(section, says)
        }
    }

    /// By the RFC it should be refused, and we pass it by choice.
    pub const fn lenient(self, section: &'static str, says: &'static str) -> Self {
        Self {
            allows: Allows::Refusal,
            ..self.chosen(section, says)
        }
    }

    /// The RFC wants something else of us, which we leave by choice.
    pub const fn otherwise(self, section: &'static str, says: &'static str) -> Self {
        Self {
            allows: Allows::Otherwise,
            ..self.chosen(section, says)
        }
    }

    /// Where the document says so.
    pub const fn chosen(self, section: &'static str, says: &'static str) -> Self {
        Self {
            choice: Some(Choice { section, says }),
            ..self
        }
    }

    pub const fn answered(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    pub const fn interims(self, interims: Interims) -> Self {
        Self { interims, ..self }
    }

    /// Its head is fine and may have reached an upstream, never a whole request.
    pub const fn in_part(self) -> Self {
        Self {
            reaches: Reaches::Part,
            ..self
        }
    }

    /// Whether what we do is what the RFC wants.
    pub fn is_as_the_rfc_wants(&self) -> bool {
        self.allows.fits(self.is_refused())
    }

    /// Whether we refuse.
    pub fn is_refused(&self) -> bool {
        match self.answer {
            Answer::Passes | Answer::PassesLast => false,
            Answer::Own(status) => status >= 400,
            Answer::Ends(_) | Answer::Refuses(_) | Answer::Breaks => true,
        }
    }
}
