// The formulas of toykit/potts.py, toykit/cross_entropy.py and toykit/simplex.py in JavaScript, in float64.
// tests/browser/test_live.py compares each with the package.

const EPSILON = 2.2250738585072014e-308 ** 0.4;

/** ln x, continued by its tangent below a tiny probability, so that it is finite at 0. */
export const extendedLog = (x) => (x >= EPSILON ? Math.log(x) : Math.log(EPSILON) + (x - EPSILON) / EPSILON);

const sum = (p, q, term) => {
  let total = 0;
  for (let k = 0; k < p.length; k++) total += term(p[k], q[k]);
  return total;
};
const dot = (p, q) => sum(p, q, (x, y) => x * y);
const distance = (p, q) => sum(p, q, (x, y) => (x - y) ** 2);
const cosine = (p, q) => dot(p, q) / Math.sqrt(dot(p, p) * dot(q, q));
const halfImpurity = (p) => sum(p, p, (x) => x * (1 - x)) / 2; // (1 - ||p||^2) / 2, without cancellation at a vertex

/** The six relaxations of Tables 1 and 2, by the paper's abbreviations. */
export const RELAXATIONS = {
  BL: (p, q) => 1 - dot(p, q),
  Q: (p, q) => distance(p, q) / 2,
  NQ: (p, q) => 1 - cosine(p, q),
  CCE: (p, q) => -extendedLog(dot(p, q)),
  LQ: (p, q) => -extendedLog(dot(p, q) + halfImpurity(p) + halfImpurity(q)),
  CD: (p, q) => -extendedLog(cosine(p, q)),
};

/** A relaxation, infinite where its formula is: CCE and CD on disjoint supports, LQ at two different vertices. */
export function potential(name, p, q) {
  const disjoint = name === "CCE" || name === "CD" ? dot(p, q) === 0 : name === "LQ" && distance(p, q) === 2;
  return disjoint ? Infinity : RELAXATIONS[name](p, q);
}

/** The cross-entropies of eq. (9)-(11) and of section 3.1, of a label y and a prediction sigma. */
export const CROSS_ENTROPIES = {
  CE: (y, sigma) => -sum(y, sigma, (a, b) => a * extendedLog(b)),
  RCE: (y, sigma) => -sum(y, sigma, (a, b) => b * extendedLog(a)),
  CCE: (y, sigma) => -extendedLog(dot(y, sigma)),
  Q: (y, sigma) => distance(y, sigma),
};
