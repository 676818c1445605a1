//! What handlers take: each extractor says in the document what it reads.

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;

use super::schema::Describer;
use crate::http::changes::Changes;
use crate::http::extract::{Body, Params, Query};
use crate::http::problem::ProblemCode;
use crate::http::state::Serving;

/// One thing that a handler takes.
pub trait Input {
    /// Says in the document what is read; what is not the request's says nothing.
    fn describe(_to: &mut Describer) {}
}

impl Input for Serving {}
impl Input for Changes {}
impl Input for HttpRequest {}
impl<T> Input for web::Data<T> {}

impl<T: JsonSchema> Input for Body<T> {
    fn describe(to: &mut Describer) {
        to.body::<T>();
        to.may_fail(&[
            ProblemCode::MalformedBody,
            ProblemCode::RequestTimeout,
            ProblemCode::BodyTooLarge,
            ProblemCode::UnsupportedMediaType,
        ]);
    }
}

impl<T: JsonSchema> Input for Query<T> {
    fn describe(to: &mut Describer) {
        to.parameters::<T>("query");
    }
}

impl<T: JsonSchema> Input for Params<T> {
    fn describe(to: &mut Describer) {
        to.parameters::<T>("path");
        to.may_fail(&[ProblemCode::NotFound]);
    }
}

macro_rules! inputs {
    ($($name:ident)*) => {
        impl<$($name: Input),*> Input for ($($name,)*) {
            fn describe(_to: &mut Describer) {
                $($name::describe(_to);)*
            }
        }
    };
}

inputs!();
inputs!(A);
inputs!(A B);
inputs!(A B C);
inputs!(A B C D);
inputs!(A B C D E);
inputs!(A B C D E F);
inputs!(A B C D E F G);
