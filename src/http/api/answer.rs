//! What handlers give back: each kind of answer knows its status, and says in the document what it is.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::Json;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::schema::Describer;

/// An answer of a handler that did what it was asked.
pub trait Answer {
    /// The response.
    fn respond(self) -> HttpResponse;

    /// Says in the document what may come.
    fn describe(to: &mut Describer);

    /// What the audit log keeps of it where the handler takes nothing down: a name of what was made, and how it is now.
    fn shown(&self) -> Shown {
        Shown::default()
    }
}

/// See [`Answer::shown`].
#[derive(Debug, Default)]
pub struct Shown {
    /// The name of what was made.
    pub target: Option<String>,
    /// How it is from then on.
    pub after: Option<Value>,
}

impl Shown {
    /// A view of what there is now.
    pub fn of(view: &impl Serialize) -> Self {
        Self { target: None, after: serde_json::to_value(view).ok() }
    }

    /// The same, of what is at a path from now on.
    fn at(location: &str, view: &impl Serialize) -> Self {
        let target = location.rsplit('/').next().map(str::to_owned);
        Self { target, ..Self::of(view) }
    }
}

impl<T: Serialize + JsonSchema> Answer for Json<T> {
    fn respond(self) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }

    fn describe(to: &mut Describer) {
        to.answers::<T>(200, "Done.");
    }

    fn shown(&self) -> Shown {
        Shown::of(&self.0)
    }
}

/// 201: a new thing, and where it is.
pub struct Created<T> {
    /// Path of the new thing.
    pub location: String,
    /// The thing.
    pub body: T,
}

impl<T: Serialize + JsonSchema> Answer for Created<T> {
    fn respond(self) -> HttpResponse {
        HttpResponse::Created().insert_header((LOCATION, self.location)).json(self.body)
    }

    fn describe(to: &mut Describer) {
        to.answers::<T>(201, "Made. `Location` says where it is.");
    }

    fn shown(&self) -> Shown {
        Shown::at(&self.location, &self.body)
    }
}

/// 201 for a new thing, 200 for one that was there and is renewed.
pub struct Upserted<T> {
    /// Whether it is new.
    pub created: bool,
    /// Path of the thing.
    pub location: String,
    /// The thing.
    pub body: T,
}

impl<T: Serialize + JsonSchema> Answer for Upserted<T> {
    fn respond(self) -> HttpResponse {
        let mut answer = if self.created { HttpResponse::Created() } else { HttpResponse::Ok() };
        answer.insert_header((LOCATION, self.location)).json(self.body)
    }

    fn describe(to: &mut Describer) {
        to.answers::<T>(201, "Made. `Location` says where it is.");
        to.answers::<T>(200, "It was there, and is renewed.");
    }

    fn shown(&self) -> Shown {
        Shown::at(&self.location, &self.body)
    }
}

/// 201 for a new thing and where it is, 200 where only a preview was asked for and nothing was made.
pub struct MadeOrShown<T> {
    /// Path of the new thing, if one was made.
    pub location: Option<String>,
    /// The thing, or its preview.
    pub body: T,
}

impl<T: Serialize + JsonSchema> Answer for MadeOrShown<T> {
    fn respond(self) -> HttpResponse {
        match self.location {
            Some(location) => HttpResponse::Created().insert_header((LOCATION, location)).json(self.body),
            None => HttpResponse::Ok().json(self.body),
        }
    }

    fn describe(to: &mut Describer) {
        to.answers::<T>(201, "Made. `Location` says where it is.");
        to.answers::<T>(200, "Only a preview: nothing was made.");
    }

    fn shown(&self) -> Shown {
        self.location.as_deref().map_or_else(|| Shown::of(&self.body), |at| Shown::at(at, &self.body))
    }
}

/// 202: the order was taken and is being carried out.
pub struct Accepted<T>(pub(crate) T);

impl<T: Serialize + JsonSchema> Answer for Accepted<T> {
    fn respond(self) -> HttpResponse {
        HttpResponse::Accepted().json(self.0)
    }

    fn describe(to: &mut Describer) {
        to.answers::<T>(202, "Taken, and being carried out.");
    }

    fn shown(&self) -> Shown {
        Shown::of(&self.0)
    }
}

/// 204: done, and there is nothing to say.
pub struct NoContent;

impl Answer for NoContent {
    fn respond(self) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }

    fn describe(to: &mut Describer) {
        to.answers_nothing(204, "Done.");
    }
}
