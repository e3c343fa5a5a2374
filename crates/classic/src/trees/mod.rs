//! One engine for every model of trees: features are binned once, trees are grown on the bins, and the finished
//! ensemble asks raw values against the bins' bounds, so that training and prediction cannot disagree.
//!
//! The parts, in the order data goes through them:
//! - [`bins`]: at most 255 bins a feature and one for missing values; shared by all trees (and, as an `Arc`, by all fits) of a data set;
//! - [`loss`], [`quantise`]: gradients, and their whole-number form whose sums do not depend on the order of summation;
//! - [`histogram`], [`split`], [`grow`]: boosting's trees, leaf by leaf, on all features;
//! - [`tally`], [`cart`]: forests' trees, node by node, on a few random features each;
//! - [`boost`], [`bag`]: many trees;
//! - [`ensemble`], [`file`], [`predictor`]: what answers, on disk and behind the seam;
//! - [`shap`], [`shap_walk`], [`shap_rows`]: what each input, and each pair, adds to an answer, against training and against given rows.
//!
//! Sources: Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NIPS 2017 (leaf-wise growth on histograms);
//! Shi et al., "Quantized Training of Gradient Boosting Decision Trees", NeurIPS 2022 (whole-number gradients, stochastic
//! rounding, leaf renewal); Breiman, "Random Forests", 2001; Geurts et al., "Extremely randomized trees", 2006.

pub(crate) mod bag;
pub(crate) mod bins;
pub(crate) mod boost;
pub(crate) mod cart;
pub(crate) mod ensemble;
pub(crate) mod exp;
mod file;
mod grow;
mod histogram;
pub(crate) mod loss;
pub(crate) mod predictor;
mod quantise;
pub(crate) mod settings;
mod shap;
mod shap_rows;
mod shap_walk;
pub(crate) mod split;
mod tally;

#[cfg(test)]
mod quality;
#[cfg(test)]
mod shap_tests;
