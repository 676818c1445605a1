//! One endpoint as a value: what it is called, who may call it, and what carries it out.

use std::collections::BTreeMap;
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Route, web};

use super::access::Access;
use super::admit::admit;
use super::answer::Answer;
use super::input::Input;
use super::keyed;
use super::record::record;
use super::schema::Describer;
use crate::http::address::caller_address;
use crate::http::extract::refuse_nul;
use crate::http::middleware::problem_of;
use crate::http::problem::{Problem, ProblemCode};

/// What is known of an endpoint without calling it.
#[derive(Clone, Debug)]
pub struct EndpointSpec {
    /// Method. GET answers HEAD too.
    pub method: Method,
    /// Path, with parameters in braces.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Its name in the document, in audit entries and in limits: unique, in snake case.
    pub id: &'static str,
    /// Group in the document.
    pub tag: &'static str,
    /// A few words.
    pub summary: &'static str,
    /// More words, in Markdown.
    pub description: &'static str,
    /// What may go wrong apart from what goes wrong everywhere.
    pub problems: &'static [ProblemCode],
}

impl EndpointSpec {
    /// Whether a call may change something.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.method != Method::GET
    }
}

/// An endpoint that is being put together.
pub struct Draft(EndpointSpec);

/// An endpoint.
pub struct Endpoint {
    spec: Rc<EndpointSpec>,
    describe: fn(&mut Describer),
    route: Box<dyn Fn(Method, Rc<EndpointSpec>) -> Route>,
}

fn draft(method: Method, path: &'static str, access: Access) -> Draft {
    Draft(EndpointSpec { method, path, access, id: "", tag: "", summary: "", description: "", problems: &[] })
}

/// A GET endpoint. It answers HEAD too.
pub fn get(path: &'static str, access: Access) -> Draft {
    draft(Method::GET, path, access)
}

/// A POST endpoint.
pub fn post(path: &'static str, access: Access) -> Draft {
    draft(Method::POST, path, access)
}

/// A PUT endpoint.
pub fn put(path: &'static str, access: Access) -> Draft {
    draft(Method::PUT, path, access)
}

/// A PATCH endpoint.
pub fn patch(path: &'static str, access: Access) -> Draft {
    draft(Method::PATCH, path, access)
}

/// A DELETE endpoint.
pub fn delete(path: &'static str, access: Access) -> Draft {
    draft(Method::DELETE, path, access)
}

impl Draft {
    /// Its unique name, in snake case.
    pub fn id(mut self, id: &'static str) -> Self {
        self.0.id = id;
        self
    }

    /// Its group.
    pub fn tag(mut self, tag: &'static str) -> Self {
        self.0.tag = tag;
        self
    }

    /// A few words.
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.0.summary = summary;
        self
    }

    /// More words, in Markdown.
    pub fn describe(mut self, description: &'static str) -> Self {
        self.0.description = description;
        self
    }

    /// What may go wrong here, apart from what its inputs and its access class say already.
    pub fn problems(mut self, problems: &'static [ProblemCode]) -> Self {
        self.0.problems = problems;
        self
    }

    /// What carries it out.
    pub fn to<F, Args, T>(self, handler: F) -> Endpoint
    where
        F: Handler<Args, Output = Result<T, Problem>>,
        Args: FromRequest + Input + 'static,
        T: Answer + 'static,
    {
        Endpoint {
            spec: Rc::new(self.0),
            describe: |to| {
                <Args as Input>::describe(to);
                T::describe(to);
            },
            route: Box::new(move |method, spec| {
                let handler = handler.clone();
                web::method(method).to(move |req: HttpRequest, payload: web::Payload| {
                    carry_out(Rc::clone(&spec), handler.clone(), req, payload.into_inner())
                })
            }),
        }
    }
}

impl Endpoint {
    pub(super) fn spec(&self) -> &EndpointSpec {
        &self.spec
    }

    pub(super) fn describe(&self, to: &mut Describer) {
        (self.describe)(to);
    }

    fn routes(&self) -> Vec<Route> {
        let method = self.spec.method.clone();
        let more = (method == Method::GET).then_some(Method::HEAD);
        [method].into_iter().chain(more).map(|method| (self.route)(method, Rc::clone(&self.spec))).collect()
    }
}

/// Lets the caller in, reads the request, calls the handler and shows its answer.
async fn carry_out<F, Args, T>(
    spec: Rc<EndpointSpec>,
    handler: F,
    req: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, actix_web::Error>
where
    F: Handler<Args, Output = Result<T, Problem>>,
    Args: FromRequest + 'static,
    T: Answer + 'static,
{
    admit(&spec, &req).await?;
    refuse_nul(&req)?;
    match keyed::key(&spec, &req)? {
        None => call(spec, handler, req, payload).await,
        Some(key) => {
            let (from, what, whose) = (caller_address(&req)?.ip(), Rc::clone(&spec), req.clone());
            keyed::once(&spec, &req, from, (key, payload), |payload| call(what, handler, whose, payload))
                .await
        }
    }
}

/// Reads the request, calls the handler and shows its answer; what staff order is on record.
async fn call<F, Args, T>(
    spec: Rc<EndpointSpec>,
    handler: F,
    req: HttpRequest,
    mut payload: Payload,
) -> Result<HttpResponse, actix_web::Error>
where
    F: Handler<Args, Output = Result<T, Problem>>,
    Args: FromRequest,
    T: Answer,
{
    // Before the inputs are read: the handler's notes go to this record.
    let on_record = record(&spec, &req).await?;
    let answer = match Args::from_request(&req, &mut payload).await {
        Ok(args) => handler.call(args).await.map(|answer| {
            if let Some(order) = &on_record {
                order.note(&answer);
            }
            answer.respond()
        }),
        Err(error) => Err(problem_of(&error.into())),
    };
    if let Some(order) = on_record {
        order.end(&answer).await?;
    }
    Ok(answer?)
}

/// Puts endpoints under their paths. Those whose path has no parameter come first: `/logins` is no `{id}`.
pub(crate) fn mount(config: &mut web::ServiceConfig, endpoints: &[Endpoint]) {
    let mut paths: BTreeMap<(bool, &'static str), Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        let path = endpoint.spec.path;
        paths.entry((path.contains('{'), path)).or_default().push(endpoint);
    }
    for ((_, path), endpoints) in paths {
        let routes = endpoints.into_iter().flat_map(Endpoint::routes);
        config.service(routes.fold(web::resource(path), actix_web::Resource::route));
    }
}

/// What is known of endpoints, in order of paths and methods.
pub(crate) fn specs(endpoints: &[Endpoint]) -> Vec<EndpointSpec> {
    let mut specs: Vec<EndpointSpec> = endpoints.iter().map(|endpoint| endpoint.spec().clone()).collect();
    specs.sort_by(|a, b| (a.path, a.method.as_str()).cmp(&(b.path, b.method.as_str())));
    specs
}
