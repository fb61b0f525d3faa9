//! Places in arrays that have one item per extraction, upstream or route.

use protocol::Side;

/// One of a table's extractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ExtractionIndex(usize);

impl ExtractionIndex {
    /// That of the extraction at this place of the plan.
    pub(crate) fn new(place: usize) -> Self {
        Self(place)
    }

    /// Its place in arrays that have one item per extraction.
    pub(crate) fn get(self) -> usize {
        self.0
    }
}

/// One of a table's upstreams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UpstreamIndex(usize);

impl UpstreamIndex {
    pub(crate) const MONOLITH: Self = Self(0);
    #[cfg(test)]
    pub(crate) const ANY: Self = Self(1);

    /// That of the service at this place of the plan.
    pub(crate) fn service(place: usize) -> Self {
        Self(place + 1)
    }

    /// The side that it is on.
    pub(crate) fn side(self) -> Side {
        if self == Self::MONOLITH {
            Side::Monolith
        } else {
            Side::Service
        }
    }

    /// Its place in arrays that have one item per upstream.
    pub(crate) fn get(self) -> usize {
        self.0
    }
}

/// A route of an extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RouteIndex {
    pub(crate) extraction: ExtractionIndex,
    /// Its place among the extraction's routes.
    pub(crate) route: usize,
}

/// A route that belongs to no extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PassthroughIndex(usize);

impl PassthroughIndex {
    /// That of the route at this place among those of no extraction.
    pub(crate) fn new(place: usize) -> Self {
        Self(place)
    }

    /// Its place in arrays that have one item per such route.
    pub(crate) fn get(self) -> usize {
        self.0
    }
}

/// Where a request belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// To an extraction: one of two sides.
    Extraction(RouteIndex),
    /// To one upstream for good, because a route says so.
    Route(PassthroughIndex),
    /// To the monolith, because nothing says otherwise, or nowhere, if the plan has
    /// it so.
    Elsewhere,
}

impl Place {
    /// Whether both are the same one: routes of one extraction go together.
    pub(crate) fn is_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Extraction(one), Self::Extraction(other)) => one.extraction == other.extraction,
            _ => self == other,
        }
    }
}
