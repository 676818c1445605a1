//! What handlers give back: each kind of answer knows its status, and says in the document what it is.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::Json;
use schemars::JsonSchema;
use serde::Serialize;

use super::schema::Describer;

/// An answer of a handler that did what it was asked.
pub trait Answer {
    /// The response.
    fn respond(self) -> HttpResponse;

    /// Says in the document what may come.
    fn describe(to: &mut Describer);
}

impl<T: Serialize + JsonSchema> Answer for Json<T> {
    fn respond(self) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }

    fn describe(to: &mut Describer) {
        to.answers::<T>(200, "Done.");
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
