// Relative addresses work behind any path prefix. With system fonts nothing is fetched from another host.
const font = "system-ui, sans-serif";
const dark = {
  colors: {
    primary: { main: "#f0a35e" },
    text: { primary: "#eceae6", secondary: "#a3abb3" },
    border: { dark: "#2e353c", light: "#2e353c" },
    http: { get: "#6fb1e8", post: "#8fce8f", put: "#f0a35e", delete: "#f08f8f" },
    responses: {
      success: { color: "#8fce8f", backgroundColor: "#18251b", tabTextColor: "#8fce8f" },
      error: { color: "#f08f8f", backgroundColor: "#2a1a1a", tabTextColor: "#f08f8f" },
      redirect: { color: "#f0a35e", backgroundColor: "#2a2118", tabTextColor: "#f0a35e" },
      info: { color: "#6fb1e8", backgroundColor: "#182430", tabTextColor: "#6fb1e8" },
    },
  },
  schema: { nestedBackground: "#181e24", typeNameColor: "#a3abb3", typeTitleColor: "#a3abb3" },
  sidebar: { backgroundColor: "#181e24", textColor: "#eceae6" },
  rightPanel: { backgroundColor: "#0b0e11" },
  codeBlock: { backgroundColor: "#181e24" },
  typography: { code: { color: "#f0a35e", backgroundColor: "#181e24" } },
};
const chosen = matchMedia("(prefers-color-scheme: dark)").matches ? dark : {};
Redoc.init(
  "openapi.json",
  { hideLoading: true, theme: { ...chosen, typography: { ...chosen.typography, fontFamily: font, headings: { fontFamily: font } } } },
  document.getElementById("redoc"),
);
