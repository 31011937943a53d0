//! A place among the requests that are worked on, of which there is a bounded number.

use std::{cell::Cell, sync::Arc};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Semaphore;

use crate::problem::{Code, Problem};

/// All places.
pub(super) struct Places {
    free: Semaphore,
    in_flight: Gauge,
}

/// One place; given back when dropped: when the answer has been sent, or when the client has gone away.
pub(super) struct Admission(Arc<Places>);

/// The place of one request, taken or not yet, while the request is worked on.
pub(super) struct Place {
    /// Absent if the request needs none.
    places: Option<Arc<Places>>,
    awaits_body: bool,
    admission: Cell<Option<Admission>>,
}

tokio::task_local! {
    /// The place of the request that the current task works on.
    pub(super) static PLACE: Place;
}

/// Takes the place of the current request, whose body is now there. Before that, it is only awaited.
pub(crate) fn take_place() -> Result<(), Problem> {
    PLACE.with(|place| {
        place.admission.set(place.places.as_ref().map(Places::admit).transpose()?);
        Ok(())
    })
}

impl Places {
    pub(super) fn new(count: usize, in_flight: Gauge) -> Arc<Self> {
        Arc::new(Self { free: Semaphore::new(count.min(Semaphore::MAX_PERMITS)), in_flight })
    }

    fn admit(places: &Arc<Self>) -> Result<Admission, Problem> {
        let permit = places.free.try_acquire().map_err(|_| {
            Problem::new(Code::Overloaded, "Too many requests are being worked on. Nothing was done.")
        })?;
        permit.forget();
        places.in_flight.inc();
        Ok(Admission(Arc::clone(places)))
    }
}

impl Place {
    /// The place of a new request among `places`. It is taken at once, unless a body is awaited first.
    pub(super) fn new(places: Option<Arc<Places>>, has_body: bool) -> Result<Self, Problem> {
        let taken = places.as_ref().filter(|_| !has_body).map(Places::admit).transpose()?;
        let awaits_body = places.is_some() && has_body;
        Ok(Self { places, awaits_body, admission: Cell::new(taken) })
    }

    /// Whether it is taken by [`take_place`].
    pub(super) fn awaits_body(&self) -> bool {
        self.awaits_body
    }

    pub(super) fn into_admission(self) -> Option<Admission> {
        self.admission.into_inner()
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.in_flight.dec();
        self.0.free.add_permits(1);
    }
}
