//! Models that need no gradient engine: trees, forests, boosting, linear models.
//!
//! Every model is one file and one line of [`MODELS`]; what several share (the histogram engine of the trees) is a folder of its own.

mod baseline;
mod bytes;
mod elastic_net;
mod extra_trees;
mod forest;
mod gbdt;
mod knn;
mod lasso;
mod linear;
mod logistic;
mod naive_bayes;
mod points;
mod ridge;
mod rows;
mod solve;
mod svm;
mod tree;
mod trees;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fixtures;

pub use rows::*;

use cupola_task::ModelDef;

/// The models of this crate.
pub const MODELS: &[ModelDef] = &[
    gbdt::GBDT,
    forest::FOREST,
    extra_trees::EXTRA_TREES,
    tree::TREE,
    linear::LINEAR,
    ridge::RIDGE,
    lasso::LASSO,
    elastic_net::ELASTIC_NET,
    logistic::LOGISTIC,
    svm::SVM,
    knn::KNN,
    naive_bayes::NAIVE_BAYES,
    baseline::BASELINE,
];
