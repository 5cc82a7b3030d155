// Relative addresses: right behind any path prefix. System fonts: nothing is fetched from elsewhere.
const font = "system-ui, sans-serif";
Redoc.init(
  "openapi.json",
  { hideLoading: true, theme: { typography: { fontFamily: font, headings: { fontFamily: font } } } },
  document.getElementById("redoc"),
);
