//! Refusals of a server that has no room, made before routes and tokens are looked at. When ten times as much is asked as can be answered, nine of
//! them come for each answer, and each finds the caches full of the model: what is not touched need not be fetched.

use crate::app::{App, request_id, signed};
use crate::ask::BYTES_INLINE;
use crate::problem::Problem;
use axum::http::{Method, Request};
use axum::response::Response;
use hyper::body::Body;
use tokio::time::Instant;

/// 429 where a request is for rows to be answered at the desk, and the desk is full. Its body stays unread.
pub(crate) fn shed<B: Body>(app: &App, request: &Request<B>) -> Option<Response> {
    let (route, model) = route(request.uri().path()).filter(|_| request.method() == Method::POST)?;
    if !app.desk.is_full() {
        return None;
    }
    let is_short = request.body().size_hint().upper().is_some_and(|bytes| bytes <= BYTES_INLINE as u64);
    // Who may not ask does not learn here which models there are.
    if is_short && app.service(model).is_ok_and(|service| service.champion().is_quick) {
        return None;
    }
    let (begin, id) = (Instant::now(), request_id(app, request));
    let problem = Problem::queue_full();
    let response = signed(problem.answer(&id, route.starts_with("/v2")), &id);
    app.metrics.request(route, response.status().as_u16(), begin.elapsed());
    Some(response)
}

/// The route that answers rows at this path, and the model that the path names.
fn route(path: &str) -> Option<(&'static str, Option<&str>)> {
    let mut parts = path.strip_prefix('/')?.split('/');
    let parts: [Option<&str>; 7] = std::array::from_fn(|_| parts.next());
    match parts {
        [Some("predict"), None, ..] => Some(("/predict", None)),
        [Some("models"), model, Some("predict"), None, ..] => Some(("/models/{model}/predict", model)),
        [Some("models"), model, Some("versions"), Some(_), Some("predict"), None, ..] => {
            Some(("/models/{model}/versions/{version}/predict", model))
        }
        [Some("v2"), Some("models"), model, Some("infer"), None, ..] => Some(("/v2/models/{model}/infer", model)),
        [Some("v2"), Some("models"), model, Some("versions"), Some(_), Some("infer"), None] => {
            Some(("/v2/models/{model}/versions/{version}/infer", model))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::route;
    use crate::app::ROUTES;

    #[test]
    fn routes_that_answer_rows_are_known() {
        let answering = ROUTES.iter().filter(|(_, path, _)| path.ends_with("/predict") || path.ends_with("/infer"));
        for (_, path, _) in answering {
            let asked = path.replace("{model}", "flowers");
            assert_eq!(route(&asked), Some((*path, path.contains("{model}").then_some("flowers"))));
            if let Some(model) = path.strip_suffix("/predict").or_else(|| path.strip_suffix("/infer")).filter(|model| !model.is_empty()) {
                let tail = path.rsplit('/').next().unwrap_or_default();
                let versioned = format!("{model}/versions/{{version}}/{tail}");
                assert_eq!(route(&versioned.replace("{model}", "m").replace("{version}", "2")), Some((&*versioned, Some("m"))));
            }
        }
        for path in ["", "/", "/predict/", "/predict/x", "/models/m", "/v2/models/m/versions/1/infer/x", "/feedback"] {
            assert_eq!(route(path), None, "{path}");
        }
    }
}
